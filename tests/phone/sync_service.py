"""Files to and from the phone: the ``sync:`` service."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

from phone.paths import Paths
from phone.stream import Stream, StreamClosed

_CHUNK = 64 * 1024
_PATH_MAX = 4096

Spend = Callable[[int], None]
"""Takes bytes from the phone's free space; raises ``OSError`` (ENOSPC) when there is none."""


class Sync:
    """Answers requests, one after the other, until the host quits."""

    def __init__(self, stream: Stream, paths: Paths, spend: Spend) -> None:
        self._stream = stream
        self._paths = paths
        self._spend = spend

    def serve(self) -> None:
        answers = {
            b"STAT": self._stat_v1,
            b"LSTA": self._stat_v1,
            b"STA2": self._stat_v2,
            b"LST2": self._stat_v2,
            b"LIST": self._list_v1,
            b"LIS2": self._list_v2,
            b"SEND": self._send,
            b"RECV": self._receive,
        }
        with contextlib.suppress(OSError):
            while True:
                request, size = self._request()
                if request == b"QUIT" or request not in answers or size > _PATH_MAX:
                    break
                answers[request](request, self._stream.read_exactly(size).decode())
            self._stream.close()

    def _request(self) -> tuple[bytes, int]:
        name, size = struct.unpack("<4sI", self._stream.read_exactly(8))
        return name, size

    def _fail(self, reason: str) -> None:
        text = reason.encode()
        self._stream.write(struct.pack("<4sI", b"FAIL", len(text)) + text)

    def _stat_v1(self, request: bytes, path: str) -> None:
        status = _status(self._paths.here(path), follow=False)
        words = (0, 0, 0) if isinstance(status, int) else _short(status)
        self._stream.write(struct.pack("<4sIII", b"STAT", *words))

    def _stat_v2(self, request: bytes, path: str) -> None:
        status = _status(self._paths.here(path), follow=request == b"STA2")
        self._stream.write(request + _long(status))

    def _list_v1(self, request: bytes, path: str) -> None:
        for name, status in _entries(self._paths.here(path)):
            head = struct.pack("<4sIII", b"DENT", *_short(status))
            self._stream.write(head + struct.pack("<I", len(name)) + name)
        self._stream.write(struct.pack("<4sIIII", b"DONE", 0, 0, 0, 0))

    def _list_v2(self, request: bytes, path: str) -> None:
        for name, status in _entries(self._paths.here(path)):
            self._stream.write(b"DNT2" + _long(status) + struct.pack("<I", len(name)) + name)
        self._stream.write(b"DONE" + bytes(68) + struct.pack("<I", 0))

    def _send(self, request: bytes, argument: str) -> None:
        path, _, mode = argument.rpartition(",")
        target = self._paths.here(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                when = self._take(file.write)
        except StreamClosed:
            raise
        except OSError as error:
            target.unlink(missing_ok=True)
            self._fail(f"couldn't create file: {os.strerror(error.errno or errno.EIO)}")
            self._drain()
            return
        target.chmod(stat.S_IMODE(int(mode or "0644", 0)) or 0o644)
        os.utime(target, (when, when))
        self._stream.write(struct.pack("<4sI", b"OKAY", 0))

    def _take(self, write: Callable[[bytes], object]) -> int:
        while True:
            kind, size = self._request()
            if kind == b"DONE":
                return size
            data = self._stream.read_exactly(size)
            self._spend(len(data))
            write(data)

    def _drain(self) -> None:
        """Take what the host still sends of a file that could not be kept."""
        while True:
            kind, size = self._request()
            if kind == b"DONE":
                return
            self._stream.read_exactly(size)

    def _receive(self, request: bytes, path: str) -> None:
        try:
            with self._paths.here(path).open("rb") as file:
                while data := file.read(_CHUNK):
                    self._stream.write(struct.pack("<4sI", b"DATA", len(data)) + data)
        except StreamClosed:
            raise
        except OSError as error:
            self._fail(f"open failed: {error.strerror}")
            return
        self._stream.write(struct.pack("<4sI", b"DONE", 0))


def _status(path: Path, *, follow: bool) -> os.stat_result | int:
    try:
        return path.stat(follow_symlinks=follow)
    except OSError as error:
        return error.errno or errno.EIO


def _short(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mode, status.st_size & 0xFFFFFFFF, int(status.st_mtime)


def _long(status: os.stat_result | int) -> bytes:
    layout = struct.Struct("<IQQIIIIQqqq")
    if isinstance(status, int):
        return layout.pack(status, *[0] * 10)
    times = (int(status.st_atime), int(status.st_mtime), int(status.st_ctime))
    return layout.pack(
        0,
        status.st_dev,
        status.st_ino,
        status.st_mode,
        status.st_nlink,
        status.st_uid,
        status.st_gid,
        status.st_size,
        *times,
    )


def _entries(folder: Path) -> list[tuple[bytes, os.stat_result]]:
    if not folder.is_dir():
        return []
    return [(os.fsencode(item.name), item.lstat()) for item in sorted(folder.iterdir())]
