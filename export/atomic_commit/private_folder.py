"""The hidden folder of one job, and how to tell a living one from what a dead process left."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from cnn_export.atomic_commit.locks import try_lock

_PREFIX = ".cnn-export-"
_NAME = re.compile(_PREFIX.replace(".", r"\.") + "[0-9a-f]{16}")
_LOCK = "lock"
_CONTENT = frozenset({_LOCK, "new", "old", "redo", "undo", "journal"})
_OWNER_ONLY = 0o700


@dataclasses.dataclass(frozen=True)
class PrivateFolder:
    """A private folder whose lock this process holds; ``new`` and ``old`` are made with it."""

    path: Path
    _lock: int

    @property
    def new(self) -> Path:
        """Where the finished files are."""
        return self.path / "new"

    @property
    def old(self) -> Path:
        """Where what they replace is kept."""
        return self.path / "old"

    @property
    def destination(self) -> Path:
        """The folder that the files are for."""
        return self.path.parent

    @classmethod
    def create(cls, destination: Path) -> Self:
        """Make one inside an existing folder.

        Raises:
            OSError: the folder cannot be written to.
        """
        while True:
            path = destination / (_PREFIX + secrets.token_hex(8))
            path.mkdir(_OWNER_ONLY)
            try:
                found = cls._locked(path)
                if found is None:
                    continue  # unlocked as it was, another process took it for a dead one's
                found.new.mkdir()
                found.old.mkdir()
            except OSError:
                shutil.rmtree(path, ignore_errors=True)
                raise
            return found

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """Take over what a dead process left; ``None`` for a living one's, or nobody's."""
        return cls._locked(path, must=True) if _is_ours(path) else None

    @classmethod
    def _locked(cls, path: Path, *, must: bool = False) -> Self | None:
        """Lock the folder; ``must`` takes none that the file system cannot lock."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        try:
            descriptor = os.open(path / _LOCK, flags, 0o600)
        except FileNotFoundError:
            return None
        locked = try_lock(descriptor)
        if locked or (locked is None and not must):
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat((path / _LOCK).lstat(), os.fstat(descriptor)):
                    return cls(path, descriptor)
        os.close(descriptor)
        return None

    def remove(self) -> None:
        """Remove it with all that is in it; what cannot be removed stays."""
        with contextlib.suppress(OSError):
            for entry in self.path.iterdir():
                if entry.name != _LOCK:
                    _remove(entry)
        self.release(remove=True)

    def release(self, *, remove: bool = False) -> None:
        """Give the lock up, for the next process to settle what is here."""
        with contextlib.suppress(OSError):
            if remove:
                (self.path / _LOCK).unlink()
        os.close(self._lock)
        with contextlib.suppress(OSError):
            if remove:
                self.path.rmdir()


def private_folders(destination: Path) -> Iterator[Path]:
    """Yield what is called like a private folder, whoever made it; none where nothing is."""
    try:
        with os.scandir(destination) as entries:
            names = [entry.name for entry in entries if _NAME.fullmatch(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in sorted(names):
        yield destination / name


def _is_ours(path: Path) -> bool:
    """Whether this user's export made the folder: there is nothing in it that it would not make."""
    try:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
        return {entry.name for entry in path.iterdir()} <= _CONTENT
    except OSError:  # gone meanwhile, or not to be looked into
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
