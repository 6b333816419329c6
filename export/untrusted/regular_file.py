"""Open files of unknown origin, and only files: a pipe waits for ever, a device never ends."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from cnn_export.errors import InputRefused

FILE = "a file"
FOLDER = "a folder"


def kind_at(path: Path) -> str | None:
    """Return what stands at ``path``: ``FILE``, ``FOLDER``, or a pipe's name; None if nothing does.

    ``Path.exists`` and its like raise what the system says of a name that is too long, or of a
    folder that may not be searched.

    Raises:
        InputRefused: the system does not tell; names ``path`` and the reason.
    """
    try:
        return _kind(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise _unreadable(path, error) from error


@contextlib.contextmanager
def opened(path: Path) -> Generator[BinaryIO]:
    """Yield the regular file at ``path``, open for reading.

    What is open is what was checked: another file that takes its name meanwhile is not read.

    Raises:
        InputRefused: missing, a folder, a pipe, a device or a socket, or not to be read; names it.
    """
    with os.fdopen(_descriptor(path), "rb") as file:
        yield file


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of the regular file at ``path``.

    Raises:
        InputRefused: as :func:`opened`, or it holds more than ``most`` bytes.
    """
    with opened(path) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
    if len(content) > most:
        raise InputRefused(f"{path} has more than {most:,} bytes; is it the right file?")
    return content


def _descriptor(path: Path) -> int:
    try:
        # Without O_NONBLOCK, opening a pipe waits for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise InputRefused(f"{path} does not exist; check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise _unreadable(path, error) from error
    if stat.S_ISREG(mode := os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise InputRefused(f"{path} is {_kind(mode)}, not a file; give a regular file")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISREG: FILE,
        stat.S_ISDIR: FOLDER,
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
    }
    return next((name for test, name in kinds.items() if test(mode)), "a device")


def _unreadable(path: Path, error: OSError | ValueError) -> InputRefused:
    reason = error.strerror if isinstance(error, OSError) else None
    return InputRefused(f"{path} cannot be read: {reason or error}")
