"""Writing is all or nothing: failed renames and signals put back what was there."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
from command_checks import tree

from cnn_export.errors import DestinationError
from cnn_export.writing import commit, staging


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
