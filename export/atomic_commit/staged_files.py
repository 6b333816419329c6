"""Make files in a private folder, and commit them as one set."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
from collections.abc import Generator, Sequence
from pathlib import Path

from cnn_export.atomic_commit.durability import sync_tree
from cnn_export.atomic_commit.journal import Entry, decide, finish, is_pending, turn_back
from cnn_export.atomic_commit.locks import folder_locked
from cnn_export.atomic_commit.private_folder import PrivateFolder
from cnn_export.atomic_commit.recovery import settle_locked, take_back
from cnn_export.atomic_commit.replacing import install, prepared, require_replaceable
from cnn_export.command_line.job_trail import TRAIL
from cnn_export.command_line.signals import held_back
from cnn_export.errors import DestinationError

_unfinished: dict[Path, Staging] = {}
"""Of every job that runs in this process, by private folder."""


@dataclasses.dataclass(frozen=True)
class Staging:
    """A set of files in the making.

    Attributes:
        private: the hidden folder in the destination.
        created: folders that did not exist before, innermost first.
        process: whose it is: a fork that unwinds must not clean up after its parent.
    """

    private: PrivateFolder
    created: tuple[Path, ...]
    process: int

    @property
    def folder(self) -> Path:
        """Where files are made, under their final names."""
        return self.private.new

    def commit(self, names: Sequence[str]) -> tuple[str, ...]:
        """Show the finished files under their names in the destination, all or none.

        Commits into one folder come one after another, so that artifact and manifest stay a pair.
        A signal waits until all is done.

        Returns:
            What was brought to its end before, of processes that died: see ``recovery.settle``.

        Raises:
            DestinationError: a name may not be replaced; nothing was.
            OSError: nothing was written, or what was is taken back by the next export there.
        """
        if self.process != os.getpid():
            raise DestinationError(
                "a process that the network's code forked cannot write its files"
            )
        sync_tree(self.folder)  # before the lock: others wait for that
        with folder_locked(self.private.destination), held_back():
            notes = settle_locked(self.private.destination)
            for name in names:
                is_package = (self.folder / name).is_dir()
                require_replaceable(self.private.destination / name, is_package=is_package)
            self._replace([prepared(self.private, name) for name in names])
            TRAIL.written()
        return notes

    def _replace(self, entries: Sequence[Entry]) -> None:
        try:
            decide(self.private, entries)
            for entry in entries:
                install(self.private, entry)
            finish(self.private)
        except BaseException:
            if is_pending(self.private.path):
                turn_back(self.private)
                take_back(self.private, entries)
                finish(self.private)
            raise

    def discard(self) -> None:
        """Remove what is not finished; what was decided and not carried out waits for the next."""
        if _unfinished.pop(self.private.path, None) is None or self.process != os.getpid():
            return
        if is_pending(self.private.path):
            self.private.release()
            return
        self.private.remove()
        remove_empty(self.created)


@contextlib.contextmanager
def staging(destination: Path) -> Generator[Staging]:
    """Yield a set of files for ``destination``; what is not committed goes, whatever happens.

    Folders that had to be created for it go as well when they stay empty.

    Raises:
        DestinationError: the destination cannot be created or written, or the disk is full.
    """
    created = _missing_folders(destination)
    made: Staging | None = None
    try:
        with held_back():
            made = _started(destination, created)
        yield made
    except OSError as error:
        if not _concerns(error, destination):
            raise
        raise _destination_error(destination, error, made) from error
    finally:
        with held_back():
            if made is not None:
                made.discard()
            elif destination.is_dir():
                remove_empty(created)


@contextlib.contextmanager
def one_staged(path: Path) -> Generator[Path]:
    """Yield where to make one file of an existing folder; it is committed if the body succeeds.

    Raises:
        OSError: it cannot be written; what was there is as it was.
        DestinationError: there is a folder, or another process keeps the folder locked.
    """
    made: Staging | None = None
    try:
        with held_back():
            made = _started(path.parent, ())
        yield made.folder / path.name
        made.commit([path.name])
    finally:
        with held_back():
            if made is not None:
                made.discard()


def discard_unfinished() -> None:
    """Remove what this process's jobs have half made, for a process that ends at once."""
    for made in list(_unfinished.values()):
        made.discard()


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, innermost first, up to the first that holds something."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _started(destination: Path, created: Sequence[Path]) -> Staging:
    TRAIL.destination(destination, created)
    for folder in reversed(created):
        folder.mkdir(exist_ok=True)
    made = Staging(PrivateFolder.create(destination), tuple(created), os.getpid())
    _unfinished[made.private.path] = made
    return made


def _missing_folders(destination: Path) -> list[Path]:
    """Return the destination and its parents that do not exist yet, innermost first."""
    return [folder for folder in (destination, *destination.parents) if not folder.exists()]


def _concerns(error: OSError, destination: Path) -> bool:
    """Whether the error is about the destination: vendor code opens files of its own too."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or error.filename is None:
        return error.errno is not None
    return Path(os.fsdecode(error.filename)).is_relative_to(destination)


def _destination_error(destination: Path, error: OSError, made: Staging | None) -> DestinationError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = "no space left there or in the temporary folder; free some"
    else:
        reason = f"{error.strerror or error}; choose another folder with -o"
    outcome = "Nothing was written"
    if made is not None and is_pending(made.private.path):
        outcome = "Files there may be half replaced; the next export there puts the old ones back"
    return DestinationError(f"cannot write to {destination}: {reason}. {outcome}")
