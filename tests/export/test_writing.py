"""Writing is all or nothing: full disks, forbidden folders, failed renames, folders in the way."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_checks import REFUSED, SMALL, USAGE, one_line, refusal, start

from cnn_export import pipeline
from cnn_export.__main__ import main
from cnn_export.errors import DestinationError
from cnn_export.manifest import Manifest
from cnn_export.writing import commit, staging

ONNX = ("-t", "onnx")


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return every path below a folder, files with their content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def staged_pair(private: Path, out: Path) -> list[tuple[Path, Path]]:
    """Stage a file and a package folder under the names of earlier ones."""
    (private / "net.onnx").write_bytes(b"new file")
    (private / "net.mlpackage").mkdir()
    (private / "net.mlpackage" / "Manifest.json").write_bytes(b"new package")
    return [(private / name, out / name) for name in ("net.onnx", "net.mlpackage")]


@pytest.fixture
def earlier(out: Path) -> dict[str, bytes | None]:
    """An earlier export in ``out``: a file, and a folder with more in it than the new one."""
    (out / "net.onnx").write_bytes(b"old file")
    (out / "net.mlpackage" / "Data").mkdir(parents=True)
    (out / "net.mlpackage" / "Manifest.json").write_bytes(b"old package")
    (out / "net.mlpackage" / "Data" / "weight.bin").write_bytes(b"old weights")
    return tree(out)


def _stage_and_raise(out: Path, failure: BaseException) -> None:
    with staging(out) as private:
        assert private.parent == out
        staged_pair(private, out)
        raise failure


@pytest.mark.usefixtures("earlier")
def test_commit_replaces_files_and_folders(out: Path) -> None:
    with staging(out) as private:
        commit(staged_pair(private, out), private)
    assert tree(out) == {
        "net.mlpackage": None,
        "net.mlpackage/Manifest.json": b"new package",
        "net.onnx": b"new file",
    }


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("failure", [OSError(errno.EIO, "broken"), KeyboardInterrupt()])
def test_commit_puts_everything_back(
    order: int,
    failure: BaseException,
    out: Path,
    earlier: dict[str, bytes | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace, calls = Path.replace, list[Path]()

    def second_fails(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == 2:
            raise failure
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", second_fails)
    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else DestinationError
    with pytest.raises(expected), staging(out) as private:
        commit(staged_pair(private, out)[::order], private)
    assert len(calls) >= 2
    assert tree(out) == earlier


def test_commit_removes_what_was_not_there_before(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def package_fails(path: Path, target: Path) -> Path:
        if path.suffix == ".mlpackage":
            raise OSError(errno.EIO, "broken")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", package_fails)
    with pytest.raises(DestinationError), staging(out) as private:
        commit(staged_pair(private, out), private)
    assert tree(out) == {}


@pytest.mark.usefixtures("earlier")
def test_commit_without_hard_links(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT on a memory card has none."""

    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with staging(out) as private:
        commit(staged_pair(private, out), private)
    assert tree(out)["net.onnx"] == b"new file"


@pytest.mark.usefixtures("earlier")
def test_a_signal_waits_for_the_commit(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), staging(out) as private:
        commit(staged_pair(private, out), private)
    assert tree(out)["net.onnx"] == b"new file"
    assert tree(out)["net.mlpackage/Manifest.json"] == b"new package"
    assert "net.mlpackage/Data" not in tree(out)


def test_a_signal_waits_for_the_cleaning(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C twice: the second must not keep the first from cleaning up."""
    remove = shutil.rmtree

    def interrupted(path: Path, *, ignore_errors: bool) -> None:
        signal.raise_signal(signal.SIGINT)
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _stage_and_raise(out, KeyboardInterrupt())
    assert tree(out) == {}


def test_staging_works_outside_the_main_thread(out: Path) -> None:
    def work() -> None:
        with staging(out) as private:
            commit(staged_pair(private, out), private)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert tree(out)["net.onnx"] == b"new file"


@pytest.mark.parametrize("failure", [ValueError("x"), KeyboardInterrupt()])
def test_staging_goes_with_the_folders_made_for_it(failure: BaseException, tmp_path: Path) -> None:
    before = tree(tmp_path)
    with pytest.raises(type(failure)):
        _stage_and_raise(tmp_path / "a" / "b", failure)
    assert tree(tmp_path) == before


def test_staging_goes_after_a_success(out: Path) -> None:
    with staging(out) as private:
        (private / "half.onnx").write_bytes(b"half")
    assert tree(out) == {}


def test_an_error_elsewhere_is_not_blamed_on_the_destination(out: Path) -> None:
    with pytest.raises(FileNotFoundError), staging(out):
        Path("/nowhere/vendor.so").read_bytes()
    with pytest.raises(OSError, match="shared object"), staging(out):
        raise OSError("vendor.so: cannot open shared object file")


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
    before, replace = tree(out), Path.replace

    def fails(path: Path, target: Path) -> Path:
        if target.name.endswith(".manifest.json") and not path.name.startswith("replaced"):
            raise OSError(errno.EIO, "Input/output error")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fails)
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

    monkeypatch.setattr(pipeline, "commit", broken)
    output = tmp_path / "new" / "folder"
    refusal(capfd, REFUSED, small_checkpoint, *ONNX, *SMALL, "-o", output)
    assert not (tmp_path / "new").exists()
