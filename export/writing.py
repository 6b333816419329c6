"""Put finished files where they belong, all or none, each replaced in one step.

Files are made in a private folder inside the destination (same file system, so that a rename
suffices). Whatever ends the job early, that folder goes and the destination is as it was.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType

from cnn_export.errors import DestinationError

_PREFIX = ".cnn-export-"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_unfinished: dict[Path, list[Path]] = {}
"""Private folder → the folders that were created for it, of every job that runs."""


@contextlib.contextmanager
def staging(destination: Path) -> Generator[Path]:
    """Yield a private folder inside ``destination``; removed in the end, whatever happens.

    Folders that had to be created for it go as well when they stay empty.

    Raises:
        DestinationError: the destination cannot be created or written, or the disk is full.
    """
    created = _missing_folders(destination)
    private: Path | None = None
    try:
        with _signals_held_back():
            private = _private_folder(destination)
            _unfinished[private] = created
        yield private
    except OSError as error:
        if not _concerns(error, destination):
            raise
        raise _destination_error(destination, error) from error
    finally:
        with _signals_held_back():
            if private is not None:
                _discard(private)
            _remove_empty(created)


def discard_unfinished() -> None:
    """Remove what this process's jobs have half made, for a process that ends at once."""
    for private in list(_unfinished):
        _discard(private)


def _discard(private: Path) -> None:
    shutil.rmtree(private, ignore_errors=True)
    _remove_empty(_unfinished.pop(private, []))


def commit(moves: Sequence[tuple[Path, Path]], backups: Path) -> None:
    """Rename each staged path to its final path; on any failure put everything back.

    Two jobs that write the same names serialize here, so artifact and manifest stay a pair.
    ``backups`` is a private folder on the same file system. A signal waits until all is done.
    """
    done: list[tuple[Path, Path | None]] = []
    with _locked(moves[0][1].parent), _signals_held_back():
        try:
            for index, (staged, final) in enumerate(moves):
                backup = _set_aside(final, backups / f"replaced-{index}")
                done.append((final, backup))
                staged.replace(final)
        except BaseException:
            for final, backup in reversed(done):
                _restore(final, backup)
            raise


@contextlib.contextmanager
def _signals_held_back() -> Generator[None]:
    """Deliver signals that end the process only after the body: it must not be left half done.

    Outside the main thread nothing is to be held back: Python runs handlers in that thread.
    """
    pending: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        pending.append(number)

    previous = {n: signal.getsignal(n) for n in _SIGNALS}
    try:
        with contextlib.suppress(ValueError):
            for number in _SIGNALS:
                signal.signal(number, note)
        yield
    finally:
        with contextlib.suppress(ValueError):
            for number in _SIGNALS:
                signal.signal(number, previous[number])
        for number in pending:
            signal.raise_signal(number)


def _missing_folders(destination: Path) -> list[Path]:
    """Return the destination and its parents that do not exist yet, innermost first."""
    return [folder for folder in (destination, *destination.parents) if not folder.exists()]


def _remove_empty(folders: Sequence[Path]) -> None:
    with contextlib.suppress(OSError):  # not empty: something was written
        for folder in folders:
            folder.rmdir()


def _private_folder(destination: Path) -> Path:
    destination.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=destination))


def _concerns(error: OSError, destination: Path) -> bool:
    """Whether the error is about the destination: vendor code opens files of its own too."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or error.filename is None:
        return error.errno is not None
    return Path(os.fsdecode(error.filename)).is_relative_to(destination)


def _destination_error(destination: Path, error: OSError) -> DestinationError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = "no space left there or in the temporary folder; free some"
    else:
        reason = f"{error.strerror or error}; choose another folder with -o"
    return DestinationError(f"cannot write to {destination}: {reason}. Nothing was written")


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _set_aside(final: Path, backup: Path) -> Path | None:
    if not final.exists():
        return None
    if final.is_dir():
        final.rename(backup)  # a folder cannot be replaced in one step
        return backup
    try:
        os.link(final, backup)
    except OSError:  # not every file system has hard links
        shutil.copy2(final, backup)
    return backup


def _restore(final: Path, backup: Path | None) -> None:
    if final.is_dir():
        shutil.rmtree(final, ignore_errors=True)
    if backup is not None:
        backup.replace(final)
    else:
        final.unlink(missing_ok=True)
