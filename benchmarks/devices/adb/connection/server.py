"""Talk to an adb server, the local one or a remote one, through adbutils' connection.

The local server is started when there is none; a remote one never is. Names and IPv6 work, which
adbutils by itself leaves out.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import tempfile
from typing import TYPE_CHECKING

from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.errors import DeviceUnfit, TargetUnavailable, UsageError

if TYPE_CHECKING:
    from adbutils import AdbConnection

DEFAULT_PORT = 5037
_LOCAL = "127.0.0.1"
CONNECT_S, _START_S = 5.0, 20.0
_REPLY_S = 30.0
_INSTALL = (
    "adb is missing: pip install 'cnn-export[bench]' (its adbutils brings one along), or"
    " 'apt-get install adb', or put Android's platform-tools on PATH"
)


class Refused(Exception):
    """The server, or the phone through it, answered FAIL: the words are its own."""


@dataclasses.dataclass(frozen=True)
class AdbServer:
    """Where an adb server listens. Only a local one (``remote`` false) may be started."""

    host: str = _LOCAL
    port: int = DEFAULT_PORT
    remote: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def open(self, service: str, serial: str | None = None) -> AdbConnection:
        """Return a connection on which ``service`` runs, of the server or of a phone.

        Raises:
            Refused: the server or the phone will not.
            DeviceUnfit: the server is out of reach, or stops in the middle.
            TargetUnavailable: there is no adb here.
        """
        connection = self._connected()
        try:
            if serial is not None:
                _request(connection, f"host:transport:{serial}")
            _request(connection, service)
        except BaseException:
            connection.close()
            raise
        return connection

    def devices(self) -> list[tuple[str, str]]:
        """Return the serial and state of every phone that the server sees.

        Raises:
            DeviceUnfit, TargetUnavailable: as :meth:`open`.
        """
        try:
            with self.open("host:devices") as connection:
                listing = connection.read_string_block()
        except (Refused, OSError, ValueError) as error:
            raise DeviceUnfit(f"the adb server at {self} lists no devices: {error}") from error
        return parse_listing(listing)

    def _connected(self) -> AdbConnection:
        kind = _connection_class()
        try:
            return kind(self.host, self.port)
        except OSError as error:
            if self.remote:
                raise DeviceUnfit(
                    f"no adb server answers at {self} ({error.strerror or error}): start it there"
                    " with 'adb -a nodaemon server', or check the address"
                ) from error
        self._start()
        try:
            return kind(self.host, self.port)
        except OSError as error:
            raise DeviceUnfit(f"the adb server at {self} was started, but: {error}") from error

    def _start(self) -> None:
        """Start the server; what adb has to say about it stays away from our output."""
        with tempfile.TemporaryFile() as said:
            try:
                ended = subprocess.run(
                    [_adb_program(), "-P", str(self.port), "start-server"],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    timeout=_START_S,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise DeviceUnfit(f"adb did not start its server in {_START_S:.0f} s") from error
            except OSError as error:
                raise TargetUnavailable(_INSTALL) from error
            if ended.returncode != 0:
                said.seek(0)
                raise DeviceUnfit(f"adb cannot start its server: {clean(said.read())}")


def local_server() -> AdbServer:
    """Return the server that adb itself would use, by the environment variables it knows.

    Raises:
        UsageError: the port is no port.
    """
    port = os.environ.get("ANDROID_ADB_SERVER_PORT", str(DEFAULT_PORT))
    host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS", _LOCAL)
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16):
        raise UsageError(f"ANDROID_ADB_SERVER_PORT is {port!r}; it has to be a port, such as 5037")
    return AdbServer(host, int(port), remote=host not in (_LOCAL, "localhost", "::1"))


def parse_listing(text: str) -> list[tuple[str, str]]:
    """Return serial and state of each line, a tab between them; serials may hold spaces."""
    split = (line.rpartition("\t") for line in text.splitlines())
    return [(serial, state) for serial, tab, state in split if tab and serial]


def _request(connection: AdbConnection, service: str) -> None:
    from adbutils import AdbError

    encoded = service.encode()
    if len(encoded) > 0xFFFF:
        raise UsageError(f"a command for the phone has {len(encoded)} bytes, adb takes 65535")
    try:
        connection.conn.settimeout(_REPLY_S)
        connection.conn.sendall(f"{len(encoded):04x}".encode() + encoded)
        connection.check_okay()
        connection.conn.settimeout(None)
    except AdbError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"no answer ({error.strerror or error})") from error


def _connection_class() -> type[AdbConnection]:
    try:
        from cnn_export.benchmarks.devices.adb.connection.server_connection import ServerConnection
    except ModuleNotFoundError as error:
        raise TargetUnavailable(
            f"{error.name} is missing: pip install 'cnn-export[bench]'"
        ) from error
    return ServerConnection


def _adb_program() -> str:
    from adbutils import AdbError, adb_path

    try:
        return adb_path()
    except AdbError as error:
        raise TargetUnavailable(_INSTALL) from error


def keep_alive(opened: socket.socket) -> None:
    """Let the kernel notice within a minute that a remote server is gone."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # not every system names them
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
