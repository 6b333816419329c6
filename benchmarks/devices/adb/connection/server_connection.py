"""adbutils' connection to an adb server, less its starting of servers and its IPv4 only."""

from __future__ import annotations

import socket

from adbutils import AdbConnection

from cnn_export.benchmarks.devices.adb.connection.server import CONNECT_S, keep_alive


class ServerConnection(AdbConnection):
    """Connects to names and addresses of both families, once; nothing is started."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        super().__init__(host, port)

    def _create_socket(self) -> socket.socket:
        opened = socket.create_connection(self._address, CONNECT_S)
        opened.settimeout(None)
        keep_alive(opened)
        return opened

    def _safe_connect(self) -> socket.socket:
        return self._create_socket()
