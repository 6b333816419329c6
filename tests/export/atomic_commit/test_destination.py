"""Full disks, forbidden folders and what stands in the way: one line, and all stays as it was."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_checks import REFUSED, SMALL, USAGE, one_line, refusal, start, tree

from cnn_export.__main__ import main
from cnn_export.atomic_commit import staged_files
from cnn_export.atomic_commit.journal import Entry
from cnn_export.atomic_commit.private_folder import PrivateFolder
from cnn_export.manifest.manifest import Manifest

ONNX = ("-t", "onnx")


def test_a_full_disk_always(
    small_checkpoint: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def full(manifest: Manifest) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Manifest, "to_json", full)
    message = refusal(capfd, REFUSED, small_checkpoint, *ONNX, *SMALL, "-o", out)
    assert f"cannot write to {out}: no space left" in message
    assert tree(out) == {}


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one page: the artifact does not fit."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk takes root and a container that lets it")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("target", ["onnx", "executorch"])
def test_a_full_disk(
    target: str, tiny_disk: Path, small_checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capfd, REFUSED, small_checkpoint, "-t", target, *SMALL, "-o", tiny_disk)
    assert f"cannot write to {tiny_disk}: no space left" in message
    assert tree(tiny_disk) == {}


def _unprivileged() -> tuple[str, ...]:
    """Return the command that makes root obey permissions; empty for other users."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root ignores permissions, and setpriv is not installed")
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@pytest.mark.parametrize("below", ["", "new/folder"])
def test_a_folder_without_permission(below: str, small_checkpoint: Path, out: Path) -> None:
    prefix = _unprivileged()
    out.chmod(0o555)
    process = start(small_checkpoint, *ONNX, *SMALL, "-o", out / below, prefix=prefix)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == REFUSED, stderr
    assert "no permission; choose another with -o" in one_line(stderr)
    assert tree(out) == {}


@pytest.mark.parametrize("below", ["", "sub", "sub/net.onnx"])
def test_a_file_where_a_folder_should_be(
    below: str, small_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results"
    file.write_bytes(b"precious")
    message = refusal(capfd, REFUSED, small_checkpoint, *ONNX, *SMALL, "-o", file / below)
    assert f"{file} is not a folder" in message
    assert file.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["small.onnx", "small.onnx.manifest.json"])
def test_a_folder_where_a_file_should_be(
    name: str, small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (out / name).mkdir()
    (out / name / "thesis.tex").write_bytes(b"precious")
    before = tree(out)
    for output in (out, out / "small.onnx"):
        message = refusal(capfd, REFUSED, small_checkpoint, *ONNX, *SMALL, "-o", output)
        assert f"cannot replace {out / name}" in message
        assert tree(out) == before


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_package_is_not_replaced_by_one(
    kind: str, small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    package = out / "small.mlpackage"
    if kind == "folder":
        package.mkdir()
    (package / "thesis.tex" if kind == "folder" else package).write_bytes(b"precious")
    before = tree(out)
    for output in (out, package):
        message = refusal(capfd, REFUSED, small_checkpoint, "-t", "coreml", *SMALL, "-o", output)
        assert f"it is a {kind}, not an earlier export" in message
        assert tree(out) == before


@pytest.mark.parametrize("targets", [["tflite"], ["onnx", "tflite"], ["all"]])
def test_a_file_name_of_another_format(
    targets: list[str], small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [argument for target in targets for argument in ("-t", target)]
    output = out / "net.onnx"
    message = refusal(capfd, USAGE, small_checkpoint, *arguments, *SMALL, "-o", output)
    assert f"-o {output} names one .onnx file" in message
    assert "give a folder" in message
    assert tree(out) == {}


def test_a_name_too_long(
    small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = out / ("n" * 300)
    message = refusal(capfd, REFUSED, small_checkpoint, *ONNX, *SMALL, "-o", output)
    assert "too long" in message


@pytest.mark.parametrize("named", [True, False])
def test_a_package_is_replaced_whole(named: bool, small_checkpoint: Path, out: Path) -> None:
    package = out / "small.mlpackage"
    arguments = [str(small_checkpoint), "-t", "coreml", *SMALL, "--quiet"]
    arguments += ["-o", str(package if named else out)]
    assert main(arguments) == 0
    first = tree(out)
    (package / "stale.txt").write_bytes(b"from an older version")
    assert main(arguments) == 0
    assert tree(out) == first


def test_a_failure_while_replacing_a_package_keeps_it(
    small_checkpoint: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = [str(small_checkpoint), "-t", "coreml", *SMALL, "--quiet", "-o", str(out)]
    assert main(arguments) == 0
    before, install = tree(out), staged_files.install

    def fails(folder: PrivateFolder, entry: Entry) -> None:
        if entry.name.endswith(".manifest.json"):
            raise OSError(errno.EIO, "Input/output error")
        install(folder, entry)

    monkeypatch.setattr(staged_files, "install", fails)
    assert "cannot write to" in refusal(capfd, REFUSED, *arguments)
    assert tree(out) == before


def test_a_folder_made_for_a_failing_job_goes(
    small_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(staged_files, "decide", broken)
    output = tmp_path / "new" / "folder"
    refusal(capfd, REFUSED, small_checkpoint, *ONNX, *SMALL, "-o", output)
    assert not (tmp_path / "new").exists()
