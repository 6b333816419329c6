"""Writing is all or nothing: failed renames and signals put back what was there."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_checks import tree
from file_sets import FILE_SETS, FileSet, stage

from cnn_export.atomic_commit import replacing, save_text, settle, staging
from cnn_export.atomic_commit.locks import folder_locked
from cnn_export.errors import DestinationError

PACKAGE_TOO = FILE_SETS["four targets"]


@pytest.fixture(params=["swap", "no swap"])
def _swapping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a file system that swaps two folders in one step."""
    if request.param == "no swap":
        monkeypatch.setattr(replacing, "exchange", lambda *_: False)


def _before(monkeypatch: pytest.MonkeyPatch, action: Callable[[str], object]) -> None:
    """Have ``action`` called with its kind before every change of a name."""
    for module, kind in ((os, "rename"), (os, "replace"), (os, "link"), (replacing, "exchange")):
        change = getattr(module, kind)

        def changed(*args: Any, _change: Any = change, _kind: str = kind, **options: Any) -> Any:
            action(_kind)
            return _change(*args, **options)

        monkeypatch.setattr(module, kind, changed)


@pytest.mark.usefixtures("_swapping")
@pytest.mark.parametrize("name", FILE_SETS)
def test_commit_replaces_files_and_folders(name: str, out: Path) -> None:
    files = FILE_SETS[name]
    files.put_earlier(out)
    files.commit(out)
    assert files.shown(out) == {"new"}
    assert {path.name for path in out.iterdir()} == {"notes.txt", *files.names}


@pytest.mark.usefixtures("_swapping")
@pytest.mark.parametrize("kind", [OSError(errno.EIO, "broken"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", FILE_SETS)
def test_a_failure_at_any_change_of_a_name(name: str, kind: BaseException, out: Path) -> None:
    """Whichever operation fails first, all is as it was; those that put back do not fail."""
    files, failed_at = FILE_SETS[name], 0
    files.put_earlier(out)
    before = tree(out)
    while _fails_at(failed_at, kind, files, out):
        # A link that fails is no failure of the commit: a copy takes its place.
        assert tree(out) == before or files.shown(out) == {"new"}
        shutil.rmtree(out)
        out.mkdir()
        files.put_earlier(out)
        failed_at += 1
    assert failed_at >= len(files.names) + 1  # and the journal


def _fails_at(number: int, failure: BaseException, files: FileSet, out: Path) -> bool:
    """Let the ``number``-th change of a name fail; return whether there are so many."""
    kinds: list[str] = []

    def fails(kind: str) -> None:
        kinds.append(kind)
        if len(kinds) == number + 1:
            raise failure

    with pytest.MonkeyPatch.context() as patch:
        _before(patch, fails)
        try:
            files.commit(out)
        except KeyboardInterrupt:
            return True
        except DestinationError as error:
            if "Nothing was written" not in str(error):
                raise
            return True
    return len(kinds) > number


@pytest.mark.parametrize("name", ["replace", "four targets"])
def test_where_nothing_can_be_put_back_the_next_export_does(name: str, out: Path) -> None:
    files = FILE_SETS[name]
    files.put_earlier(out)
    operations: list[str] = []

    def fails(kind: str) -> None:
        operations.append(kind)
        if operations.count("replace") > 1 and kind != "link":
            raise OSError(errno.EIO, "broken")

    with pytest.MonkeyPatch.context() as patch:
        _before(patch, fails)
        with pytest.raises(DestinationError, match="next export there"):
            files.commit(out)
    assert files.shown(out) == {"old", "new"}
    (note,) = settle(out)
    assert "net.onnx" in note
    assert len(files.shown(out)) == 1
    assert not list(out.glob(".cnn-export-*"))


def test_commit_without_hard_links(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT on a memory card has none."""

    def link(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    PACKAGE_TOO.put_earlier(out)
    PACKAGE_TOO.commit(out)
    assert PACKAGE_TOO.shown(out) == {"new"}


def test_all_is_on_the_disk_before_it_is_decided(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut behind the decision must find every file; behind the end, every name."""
    synced: list[str] = []
    sync, rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        if target.name == "redo":
            names = {path.name for path in source.parent.rglob("*") if "old" not in path.parts}
            assert names - {"old", "lock"} <= {*synced, "new"}
            assert out.name in synced
            synced.clear()
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", renamed)
    PACKAGE_TOO.put_earlier(out)
    PACKAGE_TOO.commit(out)
    assert synced[-1] == out.name


def test_a_signal_waits_for_the_commit(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _before(monkeypatch, lambda _: signal.raise_signal(signal.SIGINT))
    PACKAGE_TOO.put_earlier(out)
    with pytest.raises(KeyboardInterrupt):
        PACKAGE_TOO.commit(out)
    assert PACKAGE_TOO.shown(out) == {"new"}


def _stage_and_raise(out: Path, failure: BaseException) -> None:
    with staging(out) as staged:
        assert staged.private.path.parent == out
        stage(PACKAGE_TOO, staged)
        raise failure


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
    thread = threading.Thread(target=PACKAGE_TOO.commit, args=(out,))
    thread.start()
    thread.join()
    assert PACKAGE_TOO.shown(out) == {"new"}


@pytest.mark.parametrize("failure", [ValueError("x"), KeyboardInterrupt(), GeneratorExit()])
def test_staging_goes_with_the_folders_made_for_it(failure: BaseException, tmp_path: Path) -> None:
    before = tree(tmp_path)
    with pytest.raises(type(failure)):
        _stage_and_raise(tmp_path / "a" / "b", failure)
    assert tree(tmp_path) == before


def test_a_fork_that_unwinds_leaves_its_parents_files(out: Path) -> None:
    with staging(out) as staged:
        stage(PACKAGE_TOO, staged)
        if (child := os.fork()) == 0:
            try:
                staged.discard()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        staged.commit(PACKAGE_TOO.names)
    assert PACKAGE_TOO.shown(out) == {"new"}


def test_staging_goes_after_a_success(out: Path) -> None:
    with staging(out) as staged:
        (staged.folder / "half.onnx").write_bytes(b"half")
    assert tree(out) == {}


def test_an_error_elsewhere_is_not_blamed_on_the_destination(out: Path) -> None:
    with pytest.raises(FileNotFoundError), staging(out):
        Path("/nowhere/vendor.so").read_bytes()
    with pytest.raises(OSError, match="shared object"), staging(out):
        raise OSError("vendor.so: cannot open shared object file")


def test_a_folder_that_came_in_between_is_not_replaced(out: Path) -> None:
    """What may be replaced is decided when it is replaced, not when the job begins."""
    files = FileSet((".onnx",), replaces=False)
    with staging(out) as staged:
        stage(files, staged)
        (out / "net.onnx").mkdir()
        (out / "net.onnx" / "thesis.tex").write_bytes(b"precious")
        with pytest.raises(DestinationError, match="it is a folder"):
            staged.commit(files.names)
    assert tree(out) == {"net.onnx": None, "net.onnx/thesis.tex": b"precious"}


def test_one_text_is_replaced_at_once_and_keeps_its_mode(out: Path) -> None:
    (out / "page.html").write_text("old")
    (out / "page.html").chmod(0o640)
    save_text(out / "page.html", "new")
    assert tree(out) == {"page.html": b"new"}
    assert (out / "page.html").stat().st_mode & 0o777 == 0o640
    with pytest.raises(DestinationError, match="No such file"):
        save_text(out / "none" / "page.html", "new")
    assert tree(out) == {"page.html": b"new"}


def test_one_text_that_cannot_be_written_leaves_the_old(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (out / "page.html").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DestinationError, match="No space"):
        save_text(out / "page.html", "new")
    assert tree(out) == {"page.html": b"old"}


def test_a_link_stays_and_its_file_is_replaced(out: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (out / "link").symlink_to(tmp_path / "file")
    save_text(out / "link", "new")
    assert (out / "link").readlink() == tmp_path / "file"
    assert (tmp_path / "file").read_text() == "new"


def test_a_link_to_itself_is_refused(out: Path) -> None:
    (out / "link").symlink_to(out / "link")
    with pytest.raises(DestinationError, match="leads to itself"):
        save_text(out / "link", "new")


@pytest.mark.parametrize("replaces", [True, False])
@pytest.mark.parametrize("ending", ["SIGKILL", "SIGTERM"])
def test_a_kill_while_one_file_is_made_leaves_the_old(
    ending: str, replaces: bool, out: Path
) -> None:
    before = {"model.pt": b"old"} if replaces else {}
    for name, content in before.items():
        (out / name).write_bytes(content)
    code = (
        "import os, signal, sys; from pathlib import Path; "
        "from cnn_export.atomic_commit import replaced\n"
        "with replaced(Path(sys.argv[1])) as staged:\n"
        "    staged.write_bytes(b'half')\n"
        f"    os.kill(os.getpid(), signal.{ending})"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(out / "model.pt")], check=False)
    assert ended.returncode == -signal.Signals[ending]
    settle(out)
    assert tree(out) == before


def test_a_signal_ends_the_wait_for_the_folder(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may keep it for a minute; Ctrl-C must not be dead for that long."""
    held_back: list[float] = []

    def pause(seconds: float) -> None:
        signal.raise_signal(signal.SIGINT)
        held_back.append(seconds)
        raise TimeoutError

    (out / "page.html").write_text("old")
    monkeypatch.setattr("cnn_export.atomic_commit.locks.time.sleep", pause)
    with folder_locked(out), pytest.raises(KeyboardInterrupt):
        save_text(out / "page.html", "new")
    assert (tree(out), held_back) == ({"page.html": b"old"}, [])
