"""One of many streams inside a connection: bytes in order, one unconfirmed message at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from phone.wire import MAX_PAYLOAD, Packet

_ACK_TIMEOUT_S = 60


class StreamClosed(ConnectionError):
    """The host closed the stream, or the connection is gone."""


class Stream:
    """A stream as a service sees it. ``local`` and ``remote`` are its two numbers."""

    def __init__(self, local: int, remote: int, send: Callable[[Packet], None]) -> None:
        self.local = local
        self.remote = remote
        self._send = send
        self._arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._rest = b""
        self._free = threading.Semaphore(0)
        self._writing = threading.Lock()
        self._closed = threading.Event()

    # What the connection calls.
    def accept(self) -> None:
        self._send(Packet(b"OKAY", self.local, self.remote))
        self._free.release()

    def arrived(self, data: bytes) -> None:
        self._arrived.put(data)

    def confirmed(self) -> None:
        self._free.release()

    def shut(self) -> None:
        """Wake whoever waits: nothing comes or goes any more."""
        self._closed.set()
        self._arrived.put(None)
        self._free.release()

    # What a service calls.
    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def read_some(self) -> bytes:
        """Return what arrived next, or nothing at the end."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        data = self._arrived.get()
        if data is None:
            self._arrived.put(None)
            return b""
        self._send(Packet(b"OKAY", self.local, self.remote))
        return data

    def read_exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self.read_some()
            if not part:
                raise StreamClosed("the stream ended early")
            data += part
        self._rest = bytes(data[size:])
        return bytes(data[:size])

    def write(self, data: bytes) -> None:
        with self._writing:
            for start in range(0, len(data), MAX_PAYLOAD):
                self._write_message(data[start : start + MAX_PAYLOAD])

    def _write_message(self, data: bytes) -> None:
        if not self._free.acquire(timeout=_ACK_TIMEOUT_S) or self.closed:
            self._free.release()
            raise StreamClosed("the host does not listen any more")
        self._send(Packet(b"WRTE", self.local, self.remote, data))

    def close(self) -> None:
        """Tell the host that it is over, after it has confirmed everything."""
        if self._free.acquire(timeout=_ACK_TIMEOUT_S) and not self.closed:
            self.shut()
            self._send(Packet(b"CLSE", self.local, self.remote))
