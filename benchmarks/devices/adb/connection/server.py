"""Talk to an adb server, the local one or a remote one.

The local server is started when there is none; a remote one never is.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import tempfile

from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.server_connection import (
    Refused,
    connect,
    receive_text,
    request,
)
from cnn_export.command_line.packages import install_line
from cnn_export.errors import DeviceUnfit, TargetUnavailable, UsageError

DEFAULT_PORT = 5037
_LOCAL = "127.0.0.1"
_START_S = 20.0


@dataclasses.dataclass(frozen=True)
class AdbServer:
    """Where an adb server listens. Only a local one (``remote`` false) may be started."""

    host: str = _LOCAL
    port: int = DEFAULT_PORT
    remote: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def open(self, service: str, serial: str | None = None) -> socket.socket:
        """Return a connection on which ``service`` runs, of the server or of a phone.

        Raises:
            Refused: the server or the phone will not.
            DeviceUnfit: the server is out of reach, or stops in the middle.
            TargetUnavailable: there is no adb here.
        """
        connection = self._connected()
        try:
            if serial is not None:
                request(connection, f"host:transport:{serial}")
            request(connection, service)
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
                listing = receive_text(connection)
        except (Refused, OSError, EOFError, ValueError) as error:
            raise DeviceUnfit(f"the adb server at {self} lists no devices: {error}") from error
        return parse_listing(listing)

    def _connected(self) -> socket.socket:
        try:
            return connect(self.host, self.port)
        except OSError as error:
            if self.remote:
                raise DeviceUnfit(
                    f"no adb server answers at {self} ({error.strerror or error}): start it there"
                    " with 'adb -a nodaemon server', or check the address"
                ) from error
        self._start()
        try:
            return connect(self.host, self.port)
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
                raise _adb_is_missing() from error
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


def _adb_is_missing() -> TargetUnavailable:
    return TargetUnavailable(
        f"adb is missing: {install_line(['adb'])} (its adbutils brings one along), or"
        " 'apt-get install adb', or put Android's platform-tools on PATH"
    )


def _adb_program() -> str:
    try:
        from adbutils import AdbError, adb_path
    except ModuleNotFoundError as error:
        raise _adb_is_missing() from error
    try:
        return adb_path()
    except AdbError as error:
        raise _adb_is_missing() from error
