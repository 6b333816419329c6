"""Have files on the disk before anything depends on them: a power cut loses what is cached."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_NOT_FOR_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


def sync_tree(path: Path) -> None:
    """Write a file, or a folder with all below it, through to the disk.

    Raises:
        OSError: the disk did not take it (a full quota may be told only now).
    """
    if path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            sync_tree(entry)
        sync_folder(path)
    elif path.is_file():
        _sync(path)


def sync_folder(path: Path) -> None:
    """Write the names in a folder through to the disk, where the file system can be asked to."""
    try:
        _sync(path)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
