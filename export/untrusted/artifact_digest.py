"""SHA-256 of an artifact, a file or a package; nothing but regular files is read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from cnn_export.errors import InputRefused
from cnn_export.untrusted import regular_file

_CHUNK_BYTES = 2**18
_MEMBERS_MAX = 10_000
"""No package has more: a Core ML package has three files."""


def artifact_digest(path: Path) -> tuple[str, int]:
    """Return SHA-256 and size in bytes of a file, or of a folder's files in name order.

    A folder's digest covers each relative name and content length as well.

    Raises:
        InputRefused: there is nothing at ``path``, it cannot be read, or it is or holds something
            else than regular files and folders (a link too: what it leads to may change).
    """
    digest = hashlib.sha256()
    if regular_file.kind_at(path) != regular_file.FOLDER:
        total = _add(path, digest.update)
        return digest.hexdigest(), total
    total = 0
    for file in package_files(path):
        total += _add(file, digest.update, file.relative_to(path).as_posix())
    return digest.hexdigest(), total


def artifact_bytes(path: Path) -> int:
    """Return the size of a file, or of a folder's files, without reading them.

    Raises:
        InputRefused: as :func:`artifact_digest`.
    """
    kind = regular_file.kind_at(path)
    files = package_files(path) if kind == regular_file.FOLDER else [path]
    total = 0
    for file in files:
        with regular_file.opened(file) as opened:
            total += os.fstat(opened.fileno()).st_size
    return total


def package_files(folder: Path) -> list[Path]:
    """Return a package's files, in the order of their paths.

    Raises:
        InputRefused: it cannot be listed, has more than 10,000 members, or one of them is a link,
            a pipe, a device or a socket.
    """
    files: list[Path] = []
    pending, seen = [folder], 0
    while pending:
        for entry in _entries(pending.pop()):
            seen += 1
            if seen > _MEMBERS_MAX:
                raise InputRefused(f"{folder} has more than {_MEMBERS_MAX:,} members")
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                files.append(path)
            else:
                raise InputRefused(f"{path} is no regular file; a package holds its files itself")
    return sorted(files)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise InputRefused(f"{folder} cannot be read: {error.strerror or error}") from error


def _add(file: Path, update: Callable[[bytes], None], name: str | None = None) -> int:
    """Add a file, behind its name and size if it has a name; return its size."""
    with regular_file.opened(file) as opened:
        if name is not None:
            update(f"{name}\0{os.fstat(opened.fileno()).st_size}\0".encode())
        try:
            while chunk := opened.read(_CHUNK_BYTES):
                update(chunk)
        except OSError as error:
            raise InputRefused(f"{file} cannot be read: {error.strerror or error}") from error
        return opened.tell()
