"""Bring what dead processes left in a destination to its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnn_export.atomic_commit.journal import Entry, Journal, finish, read_journal, turn_back
from cnn_export.atomic_commit.locks import folder_locked
from cnn_export.atomic_commit.private_folder import PrivateFolder, private_folders
from cnn_export.atomic_commit.replacing import install, is_completable, is_staged, restore
from cnn_export.command_line.signals import held_back
from cnn_export.errors import DestinationError, InputRefused


def settle(destination: Path) -> tuple[str, ...]:
    """Complete or take back what dead processes had begun to write, and remove what they left.

    Left alone: what a living process works on, other users' folders, and whatever an export would
    not have made. A destination that does not exist has nothing to settle.

    Returns:
        A sentence per set of files that was brought to its end.

    Raises:
        DestinationError: a set of files is half written and cannot be brought to its end.
    """
    try:
        if next(private_folders(destination), None) is None:
            return ()
        with folder_locked(destination), held_back():
            return settle_locked(destination)
    except OSError as error:
        raise DestinationError(
            f"cannot settle what an ended export left in {destination}: "
            f"{error.strerror or error}; choose another folder with -o"
        ) from error


def settle_locked(destination: Path) -> tuple[str, ...]:
    """Do as :func:`settle`, where this process has the destination locked."""
    notes: list[str] = []
    for path in private_folders(destination):
        folder = PrivateFolder.adopt(path)
        if folder is not None:
            notes += _settled(folder)
    return tuple(notes)


def _settled(folder: PrivateFolder) -> list[str]:
    path = folder.path
    try:
        journal = read_journal(folder)
        note = None if journal is None else _brought_to_its_end(folder, journal)
    except InputRefused:  # not one of ours after all
        folder.release()
        return []
    except OSError as error:
        folder.release()
        raise DestinationError(
            f"an export into {path.parent} was ended half way and cannot be brought to its end: "
            f"{error.strerror or error}; remove {path} and export again"
        ) from error
    folder.remove()
    return [] if note is None else [note]


def _brought_to_its_end(folder: PrivateFolder, journal: Journal) -> str:
    names = ", ".join(entry.name for entry in journal.entries)
    forward = not journal.undo and all(is_completable(folder, entry) for entry in journal.entries)
    if forward:
        for entry in journal.entries:
            if is_staged(folder, entry):
                install(folder, entry)
    else:
        if not journal.undo:
            turn_back(folder)
        take_back(folder, journal.entries)
    finish(folder)
    done = "completed" if forward else "taken back"
    return f"an export into {folder.destination} that was killed has been {done}: {names}"


def take_back(folder: PrivateFolder, entries: Sequence[Entry]) -> None:
    """Show everything that was there before.

    Raises:
        OSError: one of the names cannot be put back.
    """
    for entry in reversed(entries):
        restore(folder, entry)
