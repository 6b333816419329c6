"""The phone's adb daemon: listens on 127.0.0.1, can be unplugged and plugged in again."""

from __future__ import annotations

import contextlib
import socket
import threading

from phone.connection import Connection, Services


class Daemon:
    """Accepts adb servers. The port stays the same however often the cable is pulled."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._listener: socket.socket | None = None
        self._connections: list[Connection] = []
        self._lock = threading.Lock()
        self.port = 0

    @property
    def plugged(self) -> bool:
        return self._listener is not None

    def plug(self) -> None:
        with self._lock:
            if self._listener is not None:
                return
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen()
            self.port = listener.getsockname()[1]
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def unplug(self) -> None:
        """Cut every connection, and refuse new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            connections, self._connections = self._connections, []
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in connections:
            connection.drop()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                connection = Connection(accepted, self._services)
                with self._lock:
                    if self._listener is not listener:
                        connection.drop()
                        return
                    self._connections.append(connection)
                threading.Thread(target=connection.serve, daemon=True).start()
