"""Locks that end with their process, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Generator
from pathlib import Path

from cnn_export.errors import DestinationError

_WAIT_S = 60.0
"""Longer than the renames of any commit take; large files are written before."""
_PAUSE_S = 0.02


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file; False: another holds it, ``None``: this file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextlib.contextmanager
def folder_locked(folder: Path) -> Generator[None]:
    """Let one process at a time change what ``folder`` shows.

    Without locks in the file system, commits into one folder are not kept apart.

    Raises:
        DestinationError: another process keeps it locked.
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        end = time.monotonic() + _WAIT_S
        while try_lock(descriptor) is False:
            if time.monotonic() > end:
                raise DestinationError(
                    f"another process has kept {folder} locked for {_WAIT_S:.0f} s; wait for it "
                    "or choose another folder with -o. Nothing was written"
                )
            time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(descriptor)
