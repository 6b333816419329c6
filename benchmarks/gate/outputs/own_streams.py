"""Names like ``/dev/stdout``: they lead to what is open already, perhaps to a file."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

_NUMBERS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_NUMBERED = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})")
_KERNELS = ("/dev/", "/proc/")
_MEMORY = "/dev/shm/"  # noqa: S108 - compared, not written to


def own_descriptor(path: Path) -> int | None:
    """Return the number of the open file that ``path`` names, ``None`` for any other path.

    Opened by its name, a redirected file would be written from its start, over what is there.
    """
    name = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow the link to the file
    numbered = _NUMBERED.fullmatch(name.replace(f"/proc/{os.getpid()}/", "/proc/self/"))
    return int(numbered[1]) if numbered else _NUMBERS.get(name)


def is_of_kernel(path: Path) -> bool:
    """Whether ``path`` lies where nothing can be put in place of a file."""
    name = os.path.abspath(path)  # noqa: PTH100 - see above
    return name.startswith(_KERNELS) and not name.startswith(_MEMORY)


def write_to_descriptor(number: int, text: str) -> None:
    """Write behind what was printed before.

    Raises:
        OSError: it is not open, or takes nothing.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with os.fdopen(os.dup(number), "w", encoding="utf-8") as opened:
        opened.write(text)
