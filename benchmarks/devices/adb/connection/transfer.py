"""Carry files to and from a phone, over adb's sync protocol.

Requests and replies are four letters and a number.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from cnn_export.benchmarks.devices.adb.connection.server_connection import receive

_CHUNK = 1 << 16
"""The protocol's largest data packet."""
_MESSAGE_MAX = 4096
_STALL_S = 60.0
"""A phone that takes or sends nothing for so long is lost."""
_MODE = 0o100644


class Failed(Exception):
    """The phone's own words on why it cannot."""


class Lost(Exception):
    """The connection ended in the middle."""


def send_file(stream: socket.socket, source: Path, target: str) -> None:
    """Write a file on the phone.

    Raises:
        Failed: the phone cannot write it.
        Lost: the connection ended.
        OSError: ``source`` cannot be read.
    """
    with source.open("rb") as opened:
        stream.settimeout(_STALL_S)
        try:
            _send(stream, b"SEND", f"{target},{_MODE}".encode())
            while chunk := opened.read(_CHUNK):
                _send(stream, b"DATA", chunk)
            stream.sendall(b"DONE" + struct.pack("<I", int(time.time())))
        except OSError as error:
            # A phone that gave up says why before it hangs up.
            with contextlib.suppress(Lost):
                _reply(stream)
            raise Lost from error
        _reply(stream)


def receive_file(stream: socket.socket, source: str, limit: int) -> Iterator[bytes]:
    """Yield the content of a file on the phone, at most ``limit`` bytes.

    Raises:
        Failed: the phone cannot read it, or it is longer.
        Lost: the connection ended.
    """
    stream.settimeout(_STALL_S)
    try:
        _send(stream, b"RECV", source.encode())
    except OSError as error:
        raise Lost from error
    total = 0
    while (size := _reply(stream)) is not None:
        if size > _CHUNK or (total := total + size) > limit:
            raise Failed(f"{source} is longer than {limit} bytes")
        yield _exactly(stream, size)


def _send(stream: socket.socket, name: bytes, data: bytes) -> None:
    stream.sendall(name + struct.pack("<I", len(data)) + data)


def _reply(stream: socket.socket) -> int | None:
    """Return the size of data that follows; ``None`` at the end."""
    header = _exactly(stream, 8)
    name, size = header[:4], int.from_bytes(header[4:], "little")
    if name == b"DATA":
        return size
    if name in (b"OKAY", b"DONE"):
        return None
    if name == b"FAIL":
        raise Failed(_exactly(stream, min(size, _MESSAGE_MAX)).decode(errors="replace"))
    raise Failed(f"unknown answer {name!r}")


def _exactly(stream: socket.socket, count: int) -> bytes:
    try:
        return receive(stream, count)
    except (OSError, EOFError) as error:
        raise Lost from error
