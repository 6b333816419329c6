"""Read a file once: what is hashed, checked and loaded is then one and the same content.

A checkpoint that a training run saves again meanwhile changes neither what is proven nor, where it
becomes shorter, ends the process that has it mapped (SIGBUS).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import BinaryIO

from cnn_export.errors import InputRefused
from cnn_export.untrusted.regular_file import opened

HEAD_BYTES = 512
_CHUNK_BYTES = 2**20
_TOO_LARGE = "does not fit into the memory of this machine"
_NO_MEMORY = (errno.ENOMEM, errno.ENOSPC, errno.EFBIG)


class Snapshot:
    """The content of a file as it was read: sealed, in memory, and nobody else's.

    ``path`` is where it was read, ``descriptor`` an open file of ``size`` bytes that holds it, and
    ``sha256`` its hexadecimal digest. The descriptor is closed with the ``with`` block of
    :func:`taken`; what is mapped stays until the last user lets go of it.
    """

    def __init__(self, path: Path, descriptor: int, size: int, sha256: str) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = size
        self.sha256 = sha256

    def mapping(self) -> mmap.mmap:
        """Return the content mapped: pages are shared, and copied by who writes to them.

        Raises:
            ValueError: the file is empty.
        """
        return mmap.mmap(self.descriptor, self.size, access=mmap.ACCESS_COPY)

    def head(self, count: int) -> bytes:
        """Return the first ``count`` bytes, or all where there are fewer."""
        return os.pread(self.descriptor, count, 0)

    @contextlib.contextmanager
    def opened(self) -> Generator[BinaryIO]:
        """Yield the content as a file open for reading, at its start."""
        with os.fdopen(os.dup(self.descriptor), "rb") as file:
            file.seek(0)
            yield file

    @property
    def own_path(self) -> str:
        """A path of this process that opens the content, for readers that take nothing else."""
        return f"/dev/fd/{self.descriptor}"


@contextlib.contextmanager
def taken(
    path: Path, judge: Callable[[Path, bytes], object] = lambda _path, _head: None
) -> Generator[Snapshot]:
    """Yield the content of the regular file at ``path``, read once.

    ``judge`` is given the path and the first ``HEAD_BYTES`` before the rest is read, and raises if
    they tell that this is something else.

    Raises:
        InputRefused: as :func:`regular_file.opened`; or the file was written to meanwhile, or is
            too large for the memory. Names the file.
    """
    with opened(path) as file, _own_file() as descriptor:
        before = os.fstat(file.fileno())
        try:
            judge(path, os.pread(file.fileno(), HEAD_BYTES, 0))
            if before.st_size > _memory_bytes():
                raise InputRefused(f"{path} {_TOO_LARGE}")
            size, digest = _copied(file, descriptor)
        except OSError as error:
            raise InputRefused(f"{path} {_reason(error)}") from error
        after = os.fstat(file.fileno())
        if (size, after.st_size, after.st_mtime_ns) != (
            before.st_size,
            before.st_size,
            before.st_mtime_ns,
        ):
            raise InputRefused(f"{path} was written to while it was read; run again when it rests")
        _seal(descriptor)
        yield Snapshot(path, descriptor, size, digest)


@contextlib.contextmanager
def _own_file() -> Generator[int]:
    """Yield the descriptor of an empty file that has no name."""
    if hasattr(os, "memfd_create"):  # Linux
        descriptor = os.memfd_create("snapshot", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryFile() as file:
            yield file.fileno()


def _copied(source: BinaryIO, descriptor: int) -> tuple[int, str]:
    """Copy up to the size that the file has now, and return the bytes copied and their SHA-256."""
    digest, size = hashlib.sha256(), 0
    limit = os.fstat(source.fileno()).st_size
    # One byte more than there should be tells a file that grows.
    while chunk := source.read(min(_CHUNK_BYTES, limit + 1 - size)):
        digest.update(chunk)
        size += len(chunk)
        _write_all(descriptor, chunk)
    return size, digest.hexdigest()


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _seal(descriptor: int) -> None:
    """Make the content final, where the system can: not even this process changes it."""
    if hasattr(os, "memfd_create"):
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)


def _reason(error: OSError) -> str:
    if error.errno in _NO_MEMORY:
        return _TOO_LARGE
    return f"cannot be read: {error.strerror or error}"
