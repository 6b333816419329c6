"""Put an output where it was asked for, and nowhere else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cnn_export.errors import DestinationError, UsageError


def require_apart(read: Iterable[Path | None], written: Iterable[Path | None]) -> None:
    """Refuse outputs that are one file, or a file that is read: measurements would be lost.

    Raises:
        UsageError: names the file.
    """
    taken = [path.resolve() for path in read if path is not None]
    for path in written:
        if path is None:
            continue
        if path.resolve() in taken:
            raise UsageError(f"{path} is given twice, and would be overwritten; change the output")
        taken.append(path.resolve())


def save_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` at once or not at all, replacing what was there.

    A pipe or device, as ``/dev/stdout``, is written to.

    Raises:
        DestinationError: it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            _replace(path.resolve(), text)
    except OSError as error:
        raise DestinationError(f"cannot write {path}: {error.strerror}") from error


def append_text(path: Path, text: str) -> None:
    """Add ``text`` to ``path``: a job's summary is one file for all of its steps.

    Raises:
        DestinationError: it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise DestinationError(f"cannot write {path}: {error.strerror}") from error


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
        part.chmod(0o644)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
