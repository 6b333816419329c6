"""Messages of the adb transport, as the phone's side reads and writes them.

A message is six little-endian words (command, two arguments, length and checksum of the payload,
the command inverted) and a payload. Checksums are zero from version 0x01000001 on.
"""

from __future__ import annotations

import dataclasses
import socket
import struct

VERSION = 0x01000001
MAX_PAYLOAD = 256 * 1024
_HEADER = struct.Struct("<4sIIII4s")


@dataclasses.dataclass(frozen=True)
class Packet:
    command: bytes
    arg0: int
    arg1: int
    payload: bytes = b""

    def to_bytes(self) -> bytes:
        inverted = bytes(byte ^ 0xFF for byte in self.command)
        header = _HEADER.pack(self.command, self.arg0, self.arg1, len(self.payload), 0, inverted)
        return header + self.payload


def read_packet(connection: socket.socket) -> Packet:
    """Read one message. Raises ``ConnectionError`` when the other side is gone or talks rubbish."""
    command, arg0, arg1, length, _, inverted = _HEADER.unpack(_exactly(connection, _HEADER.size))
    if bytes(byte ^ 0xFF for byte in command) != inverted or length > MAX_PAYLOAD:
        raise ConnectionError(f"no adb message: {command!r}, {length} bytes")
    return Packet(command, arg0, arg1, _exactly(connection, length))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the other side has closed the connection")
        data += part
    return bytes(data)
