"""The journal of a commit: which names it replaces, and whether it goes forward or back."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn_export.atomic_commit.durability import sync_folder, sync_tree
from cnn_export.atomic_commit.private_folder import PrivateFolder
from cnn_export.errors import InputRefused
from cnn_export.untrusted.regular_file import read_bytes

_VERSION = 1
_MOST_BYTES = 64 * 1024
_MOST_ENTRIES = 64
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REDO, _UNDO, _PART = "redo", "undo", "journal"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One name of the set: digests of what is new and of what was there before, if anything."""

    name: str
    sha256: str
    replaces: str | None


@dataclasses.dataclass(frozen=True)
class Journal:
    """What a dead process had decided; ``undo`` where it was taking back what it did."""

    entries: tuple[Entry, ...]
    undo: bool


def decide(folder: PrivateFolder, entries: Sequence[Entry]) -> None:
    """Write the journal; from its one rename on, the new files belong outside.

    They are on the disk before, and so is all that it speaks of.

    Raises:
        OSError: it cannot be written; nothing is decided.
    """
    document = {"version": _VERSION, "entries": [dataclasses.asdict(entry) for entry in entries]}
    part = folder.path / _PART
    part.write_text(json.dumps(document), encoding="utf-8")
    sync_tree(part)
    for path in (folder.old, folder.path, folder.destination):
        sync_folder(path)
    part.rename(folder.path / _REDO)
    sync_folder(folder.path)


def turn_back(folder: PrivateFolder) -> None:
    """From here on the commit is taken back, also by the next process."""
    with contextlib.suppress(FileNotFoundError):
        (folder.path / _REDO).rename(folder.path / _UNDO)


def finish(folder: PrivateFolder) -> None:
    """Nothing is left to be done, either way; the names outside are on the disk before."""
    sync_folder(folder.destination)
    for name in (_REDO, _UNDO):
        with contextlib.suppress(FileNotFoundError):
            (folder.path / name).unlink()


def is_pending(path: Path) -> bool:
    """Whether a private folder holds a journal."""
    return any(os.path.lexists(path / name) for name in (_REDO, _UNDO))


def read_journal(folder: PrivateFolder) -> Journal | None:
    """Return what is pending, ``None`` where nothing was decided.

    Raises:
        InputRefused: the journal is none of ours.
    """
    for name in (_UNDO, _REDO):
        path = folder.path / name
        if os.path.lexists(path):
            return Journal(_entries(path), undo=name == _UNDO)
    return None


def _entries(path: Path) -> tuple[Entry, ...]:
    try:
        document = json.loads(read_bytes(path, _MOST_BYTES))
        if document["version"] != _VERSION or len(document["entries"]) > _MOST_ENTRIES:
            raise ValueError
        return tuple(_entry(**given) for given in document["entries"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputRefused(f"{path} is no journal of an export") from None


def _entry(*, name: Any, sha256: Any, replaces: Any) -> Entry:
    """Return a checked entry: a plain name in the destination, nothing that leads elsewhere."""
    if not isinstance(name, str) or name in ("", ".", "..") or name != Path(name).name:
        raise ValueError
    digests = [sha256] if replaces is None else [sha256, replaces]
    if "\0" in name or not all(_SHA256.fullmatch(digest) for digest in digests):
        raise ValueError
    return Entry(name, sha256, replaces)
