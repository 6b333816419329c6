"""The built APK: what holds of it, and that every check can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from build_tools.apk import manifest
from build_tools.apk.api_check import check_api
from build_tools.apk.archive import read_archive, write_archive
from build_tools.apk.checks import check_apk
from build_tools.compiling import compile_java
from build_tools.errors import BuildError
from build_tools.layout import APK, APP, MANIFEST, PINS, cache
from build_tools.parts.fetch import Cache
from build_tools.parts.pins import read_pins
from build_tools.selection import Selection
from build_tools.tools import call
from jvm_platform import needs_linux

pytestmark = needs_linux

SMALL = Selection(("tflite",), ("x86_64",))


def _make(folder: Path, runtimes: str, abis: str) -> list[str]:
    """Build in ``folder``; return the lines of the checks."""
    done = subprocess.run(
        [sys.executable, "-m", "build_tools", "app"],
        cwd=folder,
        env={**os.environ, "RUNTIMES": runtimes, "ABIS": abis},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def small_apk(tools: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An APK with one runtime, built from a copy of the sources."""
    return _build_copy(tmp_path_factory.mktemp("first"))


def _build_copy(folder: Path) -> Path:
    copy = folder / "app"
    shutil.copytree(APP, copy, ignore=shutil.ignore_patterns("build", "__pycache__"))
    _make(copy, "tflite", "x86_64")
    return copy / "build" / APK.name


def test_everything_that_can_be_checked_holds(tools: None) -> None:
    APK.unlink(missing_ok=True)  # what is there already is not built again, nor its calls checked
    lines = _make(APP, "", "")
    assert lines[:4] == [
        "API level: nothing called that API 26 lacks",
        "badging: org.cnnexport.bench, API 26 to 34, arm64-v8a",
        "alignment: every stored entry at a multiple of 16384",
        "signature: v2 and v3 verified",
    ]
    libraries = [line.split(":")[0] for line in lines[4:] if not line.startswith("warning")]
    names = ("c++_shared", "executorch", "fbjni", "onnxruntime", "onnxruntime4j_jni")
    expected = [f"lib/arm64-v8a/lib{name}.so" for name in (*names, "tensorflowlite_jni")]
    assert libraries == expected
    assert lines[-1] == (
        "warning: lib/arm64-v8a/libtensorflowlite_jni.so does not load on phones with pages of"
        " 16 KB"
    )


def test_the_same_sources_give_the_same_bytes(small_apk: Path, tmp_path: Path) -> None:
    """In another folder, too."""
    assert _build_copy(tmp_path).read_bytes() == small_apk.read_bytes()


def test_only_what_was_asked_for_is_inside(small_apk: Path) -> None:
    entries = read_archive(small_apk)
    assert [name for name in entries if name.endswith(".so")] == [
        "lib/x86_64/libtensorflowlite_jni.so"
    ]
    code = b"".join(content for name, content in entries.items() if name.endswith(".dex"))
    assert b"Lorg/cnnexport/bench/runtime/tflite/TfLiteRuntime;" in code
    assert b"Lorg/cnnexport/bench/runtime/onnxruntime/OrtRuntime;" not in code
    assert b"ai/onnxruntime" not in code
    assert list(check_apk(small_apk, SMALL))


def test_changed_content_does_not_verify(small_apk: Path, tmp_path: Path) -> None:
    content = small_apk.read_bytes()
    place = content.index(b"libtensorflowlite_jni.so") + 50_000
    changed = tmp_path / "changed.apk"
    changed.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(BuildError, match="apksigner failed"):
        list(check_apk(changed, SMALL))


def test_an_unaligned_archive_is_refused(small_apk: Path, tmp_path: Path) -> None:
    unaligned = tmp_path / "unaligned.apk"
    write_archive(read_archive(small_apk), unaligned)
    with pytest.raises(BuildError, match="zipalign failed"):
        list(check_apk(unaligned, SMALL))


def test_an_unsigned_archive_is_refused(small_apk: Path, tmp_path: Path) -> None:
    write_archive(read_archive(small_apk), tmp_path / "unaligned.apk")
    aligned = tmp_path / "aligned.apk"
    call(["zipalign", "-f", "16384", tmp_path / "unaligned.apk", aligned])
    with pytest.raises(BuildError, match="apksigner failed"):
        list(check_apk(aligned, SMALL))


def test_another_abi_than_asked_for_is_refused(small_apk: Path) -> None:
    with pytest.raises(BuildError, match="badging lacks 'arm64-v8a'"):
        list(check_apk(small_apk, Selection(("tflite",), ("arm64-v8a",))))


def test_a_debuggable_app_is_refused(
    small_apk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Android checks each of its calls into native code, within what is timed."""
    source = tmp_path / "source.xml"
    text = MANIFEST.read_text()
    source.write_text(text.replace("<application", '<application android:debuggable="true"'))
    monkeypatch.setattr(manifest, "MANIFEST", source)
    framework = Cache(cache()).file(read_pins(PINS).parts["android-all"])
    _, linked = manifest.link_resources(tmp_path, framework)
    debuggable = tmp_path / "debuggable.apk"
    changed = {"AndroidManifest.xml": read_archive(linked)["AndroidManifest.xml"]}
    write_archive(read_archive(small_apk) | changed, debuggable)
    with pytest.raises(BuildError, match="the app is debuggable"):
        list(check_apk(debuggable, SMALL))


NEWER = """
package org.cnnexport.bench;
final class Newer {
    static int status(android.os.PowerManager manager) {
        return manager.getCurrentThermalStatus();
    }
}
"""
REPLACED = """
package org.cnnexport.bench;
final class Replaced {
    static boolean equal(Object a, Object b) {
        return java.util.Objects.requireNonNullElse(a, b).equals(java.util.List.of(a, b));
    }
}
"""


def _jar(folder: Path, name: str, text: str) -> Path:
    pins, store = read_pins(PINS), Cache(cache())
    source = folder / f"{name}.java"
    source.write_text(text)
    compile_java([source], [store.file(pins.parts["android-all"])], folder / "classes")
    (file,) = (folder / "classes").rglob("*.class")
    jar = folder / f"{name}.jar"
    write_archive({str(file.relative_to(folder / "classes")): file.read_bytes()}, jar)
    return jar


def test_a_call_that_api_26_lacks_is_named(small_apk: Path, tmp_path: Path) -> None:
    """``getCurrentThermalStatus`` came with API 29."""
    jar = _jar(tmp_path, "Newer", NEWER)
    with pytest.raises(BuildError, match=r"not on API 26: .*getCurrentThermalStatus"):
        check_api([jar], tmp_path, read_pins(PINS), Cache(cache()))


def test_a_call_that_d8_replaces_is_none(small_apk: Path, tmp_path: Path) -> None:
    """``List.of`` came with API 30, and D8 knows how to do without."""
    jar = _jar(tmp_path, "Replaced", REPLACED)
    assert check_api([jar], tmp_path, read_pins(PINS), Cache(cache()))
