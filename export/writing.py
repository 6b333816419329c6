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
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

from cnn_export.errors import DestinationError

_PREFIX = ".cnn-export-"


@contextlib.contextmanager
def staging(destination: Path) -> Generator[Path]:
    """Yield a private folder inside ``destination``; removed in the end, whatever happens.

    Raises:
        DestinationError: the destination cannot be created or written, or the disk is full.
    """
    folder = _private_folder(destination)
    try:
        yield folder
    except OSError as error:
        raise _destination_error(destination, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def commit(moves: Sequence[tuple[Path, Path]], backups: Path) -> None:
    """Rename each staged path to its final path; on any failure put everything back.

    Two jobs that write the same names serialize here, so artifact and manifest stay a pair.
    ``backups`` is a private folder on the same file system.
    """
    done: list[tuple[Path, Path | None]] = []
    with _locked(moves[0][1].parent):
        try:
            for index, (staged, final) in enumerate(moves):
                backup = _set_aside(final, backups / f"replaced-{index}")
                done.append((final, backup))
                staged.replace(final)
        except BaseException:
            for final, backup in reversed(done):
                _restore(final, backup)
            raise


def _private_folder(destination: Path) -> Path:
    try:
        destination.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=destination))
    except OSError as error:
        raise _destination_error(destination, error) from error


def _destination_error(destination: Path, error: OSError) -> DestinationError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = "the disk is full; free some space"
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
    else:
        os.link(final, backup)
    return backup


def _restore(final: Path, backup: Path | None) -> None:
    if final.is_dir():
        shutil.rmtree(final, ignore_errors=True)
    if backup is not None:
        backup.replace(final)
    else:
        final.unlink(missing_ok=True)
