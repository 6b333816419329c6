"""The app's build: what it refuses, and with which line."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from build_tools import tools
from build_tools.apk.archive import read_archive, write_archive
from build_tools.apk.elf import read_library
from build_tools.errors import BuildError
from build_tools.layout import APP, PINS
from build_tools.parts import fetch
from build_tools.parts.fetch import Cache
from build_tools.parts.pins import Part, read_pins
from build_tools.selection import Selection, read_selection
from build_tools.stamp import build_if_changed, digest_of
from hypothesis import given
from hypothesis import strategies as st

PART = Part("small", "maven", "org.example:small:1.0:aar", "ab" * 32)


def test_the_pins_are_whole() -> None:
    pins = read_pins(PINS)
    assert {part.sha256 for part in pins.group("apk")} == {
        pins.parts["android-all"].sha256,
        pins.parts["r8"].sha256,
    }
    assert set(pins.parts) == {name for group in pins.groups.values() for name in group}


@pytest.mark.parametrize(
    ("coordinate", "source", "version", "file_name"),
    [
        ("a.b:c:1.2", "maven", "1.2", "c-1.2.jar"),
        ("a.b:c:1.2:aar", "maven", "1.2", "c-1.2.aar"),
        ("a.b:c:1.2:jar:linux", "maven", "1.2", "c-1.2-linux.jar"),
        ("@scope/c@1.2", "npm", "1.2", "n-1.2"),
    ],
)
def test_coordinates(coordinate: str, source: str, version: str, file_name: str) -> None:
    part = Part("n", source, coordinate, "0" * 64)
    assert (part.version, part.file_name) == (version, file_name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('sha256 = "ab"', "no SHA-256"),
        (f'sha256 = "{"ab" * 32}"\nsource = "web"', "from 'web', not maven or npm"),
        ("", "lacks 'sha256'"),
    ],
)
def test_a_wrong_pin_is_refused(tmp_path: Path, text: str, said: str) -> None:
    source = "" if "source" in text else 'source = "maven"\n'
    pins = tmp_path / "pins.toml"
    pins.write_text(f'groups = {{}}\n[[part]]\nname = "p"\ncoordinate = "a:b:1"\n{source}{text}')
    with pytest.raises(BuildError, match=said):
        read_pins(pins)


def _fake_maven(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[list[str]]:
    """Let Maven bring ``content``, by the project it was given; return its calls."""
    calls: list[list[str]] = []

    def call(argv: list[object], folder: Path | None = None) -> str:
        words = [str(word) for word in argv]
        calls.append(words)
        pom = Path(words[words.index("-f") + 1])
        assert "<artifactId>small</artifactId><version>1.0</version><type>aar" in pom.read_text()
        (pom.parent / PART.file_name).write_bytes(content)
        return ""

    monkeypatch.setattr(fetch, "call", call)
    monkeypatch.setattr(fetch, "require", lambda names: None)
    return calls


def test_other_content_than_the_pinned_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_maven(monkeypatch, b"something else")
    with pytest.raises(BuildError, match=r"org.example:small:1.0:aar has SHA-256 .*not used"):
        Cache(tmp_path).fetch([PART])
    assert not Cache(tmp_path).file(PART).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_part_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = dataclasses.replace(PART, sha256=hashlib.sha256(b"right").hexdigest())
    calls = _fake_maven(monkeypatch, b"right")
    for _ in range(2):
        Cache(tmp_path).fetch([part])
    assert len(calls) == 1
    assert Cache(tmp_path).file(part).read_bytes() == b"right"


def test_a_client_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "bin" / "mvn"
    client.parent.mkdir()
    client.write_text("#!/bin/sh\necho '[ERROR] Could not find artifact'\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
    with pytest.raises(BuildError, match=r"^mvn failed with 1: \[ERROR\] Could not find artifact$"):
        Cache(tmp_path / "cache").fetch([PART])


@given(content=st.binary(max_size=400))
def test_damaged_libraries_are_refused(content: bytes) -> None:
    for head in (b"", b"\x7fELF\x02\x01", b"\x7fELF\x01\x01"):
        with pytest.raises(BuildError):
            read_library(head + content, "lib.so")


def test_a_real_library_is_read() -> None:
    python = Path(sys.executable).resolve()
    library = read_library(python.read_bytes(), "python")
    assert library.alignment >= 4096
    assert "libc.so.6" in library.needed


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Selection(("tflite", "onnxruntime", "executorch"), ("arm64-v8a",))),
        (
            {"RUNTIMES": " onnxruntime tflite ", "ABIS": "x86_64  arm64-v8a"},
            Selection(("tflite", "onnxruntime"), ("arm64-v8a", "x86_64")),
        ),
    ],
)
def test_a_selection(environment: dict[str, str], expected: Selection) -> None:
    assert read_selection(environment) == expected


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RUNTIMES": "tflight"}, "RUNTIMES knows tflite, .* not 'tflight'"),
        ({"ABIS": "arm64"}, "ABIS knows arm64-v8a, .* not 'arm64'"),
        ({"ABIS": "x86"}, "executorch has no library for x86"),
    ],
)
def test_a_wrong_selection(environment: dict[str, str], said: str) -> None:
    with pytest.raises(BuildError, match=said):
        read_selection(environment)


def test_an_archive_does_not_depend_on_the_order(tmp_path: Path) -> None:
    entries = {"b": b"2", "a/c": b"1" * 10_000}
    first, second = tmp_path / "1", tmp_path / "2"
    write_archive(entries, first)
    write_archive(dict(reversed(entries.items())), second)
    assert first.read_bytes() == second.read_bytes()
    assert read_archive(first) == entries
    with zipfile.ZipFile(first) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_a_build_is_done_again_when_something_changed(tmp_path: Path) -> None:
    source, output, stamp = tmp_path / "source", tmp_path / "output", tmp_path / "stamp"
    source.write_text("1")

    def again() -> bool:
        digest = digest_of([source], "text")
        return build_if_changed(output, stamp, digest, lambda: output.write_text("built"))

    assert [again(), again()] == [True, False]
    source.write_text("2")
    assert [again(), again()] == [True, False]
    output.unlink()
    assert again()


def test_a_failed_build_is_not_taken_for_done(tmp_path: Path) -> None:
    output, stamp = tmp_path / "output", tmp_path / "stamp"
    output.write_text("old")
    stamp.write_text("old")

    def fail() -> None:
        raise BuildError("no")

    with pytest.raises(BuildError):
        build_if_changed(output, stamp, "new", fail)
    assert build_if_changed(output, stamp, "old", lambda: None)


def test_missing_tools_are_named_with_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tools.shutil, "which", lambda name: None if name in ("aapt2", "mvn") else name
    )
    with pytest.raises(
        BuildError, match=r"^aapt2, mvn not found: apt-get install --yes aapt maven$"
    ):
        tools.require(["java", "aapt2", "mvn"])


def test_without_rights_the_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "missing", lambda names: ["aapt"])
    monkeypatch.setattr(tools.os, "geteuid", lambda: 1000)
    with pytest.raises(BuildError, match=r"aapt missing; as root: apt-get install --yes .* aapt$"):
        tools.install_tools()


def test_a_target_that_does_not_exist() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "build_tools", "ap"], cwd=APP, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m build_tools app")


def test_a_failure_of_make_is_one_line(tmp_path: Path) -> None:
    """No tool on the path but Python: the first that is missing is named, with no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "build_tools", "app-jvm"],
        cwd=APP,
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "apt-get install" in done.stderr


ROOMS: dict[str, set[str]] = {
    "": set(),
    "parts": {""},
    "apk": {"", "parts"},
    "jvm": {"", "parts", "apk"},
}


def test_the_rooms_import_downwards() -> None:
    """``__main__`` names modules as texts, so that only the called one is loaded."""
    package = APP / "build_tools"
    for file in package.rglob("*.py"):
        room = "/".join(file.relative_to(package).parts[:-1])
        names = re.findall(r"^from build_tools\.(\S+) import", file.read_text(), re.M)
        used = {name.rpartition(".")[0] for name in names}
        assert used <= ROOMS[room] | {room}, file
