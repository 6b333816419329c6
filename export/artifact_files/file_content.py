"""The content of an artifact's files, whatever stands at their paths."""

from __future__ import annotations

import mmap
import stat
from pathlib import Path

from cnn_export.errors import InputRefused

PROTOBUF_BYTES_MAX = 2**31
"""No protobuf document is longer; larger models keep their weights in other files."""


def mapped(path: Path) -> memoryview:
    """Return a file's bytes; only what is looked at is read.

    Raises:
        InputRefused: it is empty, or no regular file.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe is to wait for its writer
        raise InputRefused("it is no regular file; save it as one")
    with path.open("rb") as opened:
        try:
            return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError as error:
            raise InputRefused("it is empty; export it again") from error


def require_size(path: Path, most: int) -> None:
    """Refuse a file that is larger than any of its kind.

    Raises:
        InputRefused: names the file and its size.
        OSError: there is no such file.
    """
    size = path.stat().st_size
    if size > most:
        raise InputRefused(f"{path.name!r} has {size:,} bytes, more than its format allows")


def file_inside(folder: Path, name: str) -> Path:
    """Return the file that an artifact's other part calls ``name``.

    Raises:
        InputRefused: it is missing, no regular file, or lies outside of ``folder``.
    """
    found = folder / name
    # A name from a file of unknown origin could be "../../etc/passwd", "/dev/zero", or a link.
    try:
        inside = found.resolve().is_relative_to(folder.resolve())
        regular = found.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # the last: a link to itself
        raise InputRefused(f"it names a file {name[:80]!r}, which cannot be") from error
    if not inside:
        raise InputRefused(f"it names {name[:80]!r}, which lies outside of its folder")
    if not regular:
        raise InputRefused(f"its part {name[:80]!r} is missing; keep all files together")
    return found
