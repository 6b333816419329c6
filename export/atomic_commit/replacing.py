"""One name of a set: put the new in place, or take it back; each may be done again after a kill.

What was done is read from the files themselves. A file's new version leaves ``new`` in the very
rename that shows it. A folder is swapped, so that its name never goes missing; then only its
content says which of the two stands where.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from cnn_export.atomic_commit.exchange import exchange
from cnn_export.atomic_commit.journal import Entry
from cnn_export.atomic_commit.private_folder import PrivateFolder
from cnn_export.errors import DestinationError, InputRefused
from cnn_export.untrusted.artifact_digest import artifact_digest

_PACKAGE_INDEX = "Manifest.json"
_NOTHING = "0" * 64
"""Stands for the digest of what is there and cannot be read, such as a link that leads nowhere."""


def require_replaceable(path: Path, *, is_package: bool) -> None:
    """Refuse to replace a folder by a file, a file by a folder, or a folder of other content.

    Raises:
        DestinationError: names the path and what is there.
        OSError: it cannot be looked at.
    """
    if not path.exists() or (not is_package and path.is_file()):
        return
    if is_package and (path / _PACKAGE_INDEX).is_file():
        return
    kind = "a folder" if path.is_dir() else "a file" if path.is_file() else "no regular file"
    raise DestinationError(
        f"cannot replace {path}: it is {kind}, not an earlier export; move it or give another -o"
    )


def prepared(folder: PrivateFolder, name: str) -> Entry:
    """Keep what is to be replaced, before anything is decided, and describe the change.

    A folder is kept when it is replaced: it cannot be linked.

    Raises:
        OSError: it cannot be kept.
    """
    new, final, old = folder.new / name, folder.destination / name, folder.old / name
    digest = _digest(new)
    if digest is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(new))
    if not os.path.lexists(final):
        return Entry(name, digest, None)
    if not _is_folder(new):
        try:
            os.link(final, old, follow_symlinks=False)
        except (OSError, NotImplementedError):  # no hard links, or not for another's file
            shutil.copy2(final, old, follow_symlinks=False)
    return Entry(name, digest, _digest(final) or _NOTHING)


def install(folder: PrivateFolder, entry: Entry) -> None:
    """Show the new version, which :func:`is_staged`, under its name.

    Raises:
        OSError: the name cannot be replaced; :func:`restore` undoes what was done.
    """
    new, final, old = _paths(folder, entry)
    if not _is_folder(new) or not os.path.lexists(final):
        new.replace(final)
    elif exchange(new, final):
        new.rename(old)
    else:
        final.rename(old)
        new.rename(final)


def is_staged(folder: PrivateFolder, entry: Entry) -> bool:
    """Whether the new version is still where it was made."""
    return _digest(folder.new / entry.name) == entry.sha256


def is_shown(folder: PrivateFolder, entry: Entry) -> bool:
    """Whether the new version is under its final name."""
    return _digest(folder.destination / entry.name) == entry.sha256


def is_completable(folder: PrivateFolder, entry: Entry) -> bool:
    """Whether the new version is shown, or can be without harm.

    A machine that crashed may have lost it; and another process may have written the name since.
    """
    shown = _digest(folder.destination / entry.name)
    return shown == entry.sha256 or (is_staged(folder, entry) and shown in (None, entry.replaces))


def restore(folder: PrivateFolder, entry: Entry) -> None:
    """Show again what was there before; does nothing where that has been done.

    What is neither old nor new has been put there by another process since, and stays.

    Raises:
        OSError: it cannot be put back.
    """
    new, final, old = _paths(folder, entry)
    if os.path.lexists(final) and not is_shown(folder, entry):
        return
    if entry.replaces is None:
        if os.path.lexists(final) and not os.path.lexists(new):
            final.rename(new)
    elif _is_folder(new) or _is_folder(old):
        _restore_folder(folder, entry)
    elif os.path.lexists(old):
        old.replace(final)


def _restore_folder(folder: PrivateFolder, entry: Entry) -> None:
    new, final, old = _paths(folder, entry)
    kept = old if os.path.lexists(old) else new
    if kept is new and _digest(new) != entry.replaces:
        return  # it has not been replaced yet
    if os.path.lexists(final):
        if exchange(kept, final):
            return
        final.rename(new)
    kept.rename(final)


def _paths(folder: PrivateFolder, entry: Entry) -> tuple[Path, Path, Path]:
    name = entry.name
    return folder.new / name, folder.destination / name, folder.old / name


def _digest(path: Path) -> str | None:
    """Return what ``path`` holds; ``None`` where there is nothing, or nothing to be read."""
    try:
        return artifact_digest(path)[0]
    except (OSError, InputRefused):
        return None


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
