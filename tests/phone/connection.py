"""One connection of an adb server to the phone: handshake, and its streams."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import socket
import threading
from typing import Protocol

from phone.stream import Stream
from phone.wire import MAX_PAYLOAD, VERSION, Packet, read_packet

FEATURES = ("shell_v2", "cmd", "stat_v2", "ls_v2", "fixed_push_mkdir")
"""Only what is built: no ``delayed_ack``, ``abb_exec`` or ``sendrecv_v2``."""
_TOKEN = 1
_KEY = 3


class Services(Protocol):
    """What the phone offers, and how it introduces itself."""

    trust: str

    def banner(self) -> bytes: ...

    def serve(self, name: str, stream: Stream) -> bool:
        """Take the stream in a thread of its own; false: there is no such service."""
        ...


class Connection:
    """Serves one socket until it is closed, from whichever side."""

    def __init__(self, connection: socket.socket, services: Services) -> None:
        self._socket = connection
        self._services = services
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._streams: dict[int, Stream] = {}

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._take(read_packet(self._socket))
        self.drop()
        for stream in list(self._streams.values()):
            stream.shut()

    def drop(self) -> None:
        """Close the socket as a pulled cable does: at once, in the middle of anything."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _send(self, packet: Packet) -> None:
        with self._sending:
            self._socket.sendall(packet.to_bytes())

    def _take(self, packet: Packet) -> None:
        if packet.command == b"CNXN":
            self._greet()
        elif packet.command == b"AUTH":
            if packet.arg0 != _KEY:  # Not even a known signature is trusted; a new key waits.
                self._ask_for_proof()
        elif packet.command == b"OPEN":
            self._open(packet)
        else:
            self._pass_on(packet)

    def _greet(self) -> None:
        if self._services.trust == "unauthorized":
            self._ask_for_proof()
        elif self._services.trust == "trusted":
            self._send(Packet(b"CNXN", VERSION, MAX_PAYLOAD, self._services.banner()))

    def _ask_for_proof(self) -> None:
        self._send(Packet(b"AUTH", _TOKEN, 0, secrets.token_bytes(20)))

    def _open(self, packet: Packet) -> None:
        stream = Stream(next(self._numbers), packet.arg0, self._send)
        self._streams[stream.local] = stream
        name = packet.payload.rstrip(b"\0").decode(errors="surrogateescape")
        if not self._services.serve(name, stream):
            del self._streams[stream.local]
            self._send(Packet(b"CLSE", 0, packet.arg0))

    def _pass_on(self, packet: Packet) -> None:
        stream = self._streams.get(packet.arg1)
        if stream is None:
            return
        if packet.command == b"WRTE":
            stream.arrived(packet.payload)
        elif packet.command == b"OKAY":
            stream.confirmed()
        elif packet.command == b"CLSE":
            stream.shut()
            del self._streams[packet.arg1]
