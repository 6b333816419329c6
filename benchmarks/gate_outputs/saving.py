"""Put an output where it was asked for."""

from __future__ import annotations

from pathlib import Path

from cnn_export.errors import DestinationError


def save_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, replacing what was there.

    Raises:
        DestinationError: it cannot be written.
    """
    _put(path, text, "w")


def append_text(path: Path, text: str) -> None:
    """Add ``text`` to ``path``: a job's summary is one file for all of its steps.

    Raises:
        DestinationError: it cannot be written.
    """
    _put(path, text, "a")


def _put(path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise DestinationError(f"cannot write {path}: {error.strerror}") from error
