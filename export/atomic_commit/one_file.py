"""One file, written at once or not at all, where it was asked for and nowhere else."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Generator, Iterable
from pathlib import Path

from cnn_export.atomic_commit.staged_files import one_staged
from cnn_export.errors import DestinationError, UsageError

_NUMBERS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_NUMBERED = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})")
_OF_KERNEL = ("/dev/", "/proc/")
_MEMORY = "/dev/shm/"  # noqa: S108 - compared, not written to


@contextlib.contextmanager
def replaced(path: Path) -> Generator[Path]:
    """Yield where to write a file that then takes the place of ``path``, if the body succeeds.

    Whatever ends the process, ``path`` holds what was there or what is new. A link stays: the file
    that it leads to is replaced. Its mode stays as it was.

    Raises:
        DestinationError: it cannot be written; what was there is as it was.
    """
    with _refusing(path):
        target = _target(path)
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        with one_staged(target) as staged:
            yield staged
            if mode is not None:
                staged.chmod(mode)


def save_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, replacing what was there; see :func:`replaced`.

    A pipe or device, as ``/dev/stdout``, is written to, also where it leads to a file.

    Raises:
        DestinationError: it cannot be written.
    """
    with _refusing(path):
        if _is_written_in_place(path):
            _write_behind(path, text)
            return
    with replaced(path) as staged:
        staged.write_text(text, encoding="utf-8")


def append_text(path: Path, text: str) -> None:
    """Add ``text`` to ``path``: a job's summary is one file for all of its steps.

    Raises:
        DestinationError: it cannot be written.
    """
    with _refusing(path):
        _write_behind(path, text)


def require_apart(read: Iterable[Path | None], written: Iterable[Path | None]) -> None:
    """Refuse outputs that are one file, or a file that is read: measurements would be lost.

    Raises:
        UsageError: names the file.
    """
    taken = [_resolved(path) for path in read if path is not None]
    for path in written:
        if path is None:
            continue
        if _resolved(path) in taken:
            raise UsageError(f"{path} is given twice, and would be overwritten; change the output")
        taken.append(_resolved(path))


def _target(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, "it is a link that leads to itself") from error


@contextlib.contextmanager
def _refusing(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _own_descriptor(path) in (1, 2):
            raise  # the edge ends quietly where the reader of a standard stream left
        raise DestinationError(f"cannot write {path}: {error.strerror or error}") from error


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself: whoever opens it says so
        return path.absolute()


def _is_written_in_place(path: Path) -> bool:
    """Whether ``path`` is open already, is the kernel's, or is no file: a pipe, a device."""
    if _own_descriptor(path) is not None:
        return True
    name = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow the link to the file
    of_kernel = name.startswith(_OF_KERNEL) and not name.startswith(_MEMORY)
    return of_kernel or (path.exists() and not path.is_file())


def _own_descriptor(path: Path) -> int | None:
    """Return the number of the open file that ``path`` names, ``None`` for any other path."""
    name = os.path.abspath(path)  # noqa: PTH100 - see above
    numbered = _NUMBERED.fullmatch(name.replace(f"/proc/{os.getpid()}/", "/proc/self/"))
    return int(numbered[1]) if numbered else _NUMBERS.get(name)


def _write_behind(path: Path, text: str) -> None:
    """Write behind what is there.

    A file that is open already is not opened by its name: it would be written from its start.
    """
    number = _own_descriptor(path)
    if number is None:
        opened = path.open("a", encoding="utf-8")
    else:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        opened = os.fdopen(os.dup(number), "w", encoding="utf-8")
    with opened:
        opened.write(text)
