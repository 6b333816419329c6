"""SHA-256 of an artifact, a file or a package; nothing but regular files is read."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from cnn_export.errors import InputRefused
from cnn_export.untrusted import regular_file

_MEMBERS_MAX = 10_000
"""No package has more: a Core ML package has three files."""


def artifact_digest(path: Path) -> tuple[str, int]:
    """Return SHA-256 and size in bytes of a file, or of a folder's files in name order.

    A folder's digest covers each relative name and content length as well.

    Raises:
        InputRefused: there is nothing at ``path``, it cannot be read, or it is or holds something
            else than regular files and folders (a link too: what it leads to may change).
    """
    if path.is_dir():
        return _folder_digest(path)
    with regular_file.opened(path) as opened:
        try:
            return hashlib.file_digest(opened, "sha256").hexdigest(), opened.tell()
        except OSError as error:
            raise InputRefused(f"{path} cannot be read: {error.strerror or error}") from error


def artifact_bytes(path: Path) -> int:
    """Return the size of a file, or of a folder's files, without reading them.

    Raises:
        InputRefused: as :func:`artifact_digest`.
    """
    files = package_files(path) if path.is_dir() else [path]
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


def _folder_digest(folder: Path) -> tuple[str, int]:
    digest, total = hashlib.sha256(), 0
    for file in package_files(folder):
        with regular_file.opened(file) as opened:
            size = os.fstat(opened.fileno()).st_size
            digest.update(f"{file.relative_to(folder).as_posix()}\0{size}\0".encode())
            hashlib.file_digest(opened, lambda: digest)  # continues the one digest
        total += size
    return digest.hexdigest(), total
