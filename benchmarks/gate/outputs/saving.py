"""Put an output where it was asked for, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cnn_export.atomic_commit import replace_text
from cnn_export.benchmarks.gate.outputs.own_streams import (
    is_of_kernel,
    own_descriptor,
    write_to_descriptor,
)
from cnn_export.errors import DestinationError, UsageError


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


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself: whoever opens it says so
        return path.absolute()


def save_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` at once or not at all, replacing what was there.

    A pipe or device, as ``/dev/stdout``, is written to, also where it leads to a file.

    Raises:
        DestinationError: it cannot be written.
    """
    try:
        number = own_descriptor(path)
        if number is not None:
            write_to_descriptor(number, text)
        elif is_of_kernel(path) or (path.exists() and not path.is_file()):
            path.write_text(text, encoding="utf-8")
        else:
            replace_text(path.resolve(), text)
    except OSError as error:
        raise DestinationError(f"cannot write {path}: {error.strerror}") from error
    except RuntimeError as error:
        raise DestinationError(f"cannot write {path}: it is a link that leads to itself") from error


def append_text(path: Path, text: str) -> None:
    """Add ``text`` to ``path``: a job's summary is one file for all of its steps.

    Raises:
        DestinationError: it cannot be written.
    """
    try:
        number = own_descriptor(path)
        if number is not None:
            write_to_descriptor(number, text)
            return
        with path.open("a", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise DestinationError(f"cannot write {path}: {error.strerror}") from error
