"""Start Debian's adbd, and a private adb server that is connected to it.

Only inside a network namespace: adbd listens on port 5555 of every address, without asking who
calls. The command comes in ``ADBD_COMMAND``, its words on lines of their own.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from phone.adb_server import AdbServer as Server

from cnn_export.benchmarks.devices.adb.connection.server import AdbServer, local_server

SERIAL = "127.0.0.1:5555"
WITHOUT_VSOCK = Path(__file__).with_name("without_vsock.py")
_START_S = 20


@contextlib.contextmanager
def adbd(
    before: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[AdbServer]:
    """Run adbd behind the words of ``before``, in an environment of its own if one is given."""
    words = [*before, sys.executable, "-I", "-S", str(WITHOUT_VSOCK)]
    words += os.environ["ADBD_COMMAND"].split("\n")
    daemon = subprocess.Popen(
        words,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Server()
    os.environ |= {k: v for k, v in server.changes.items() if k != "HOME"}
    try:
        _connect(server)
        yield local_server()
    finally:
        server.close()
        daemon.kill()
        daemon.wait()


def _connect(server: Server) -> None:
    """Connect once, as soon as the daemon listens: a refused try may come back as an emulator."""
    host, _, port = SERIAL.partition(":")
    deadline = time.monotonic() + _START_S
    while not _listens(host, int(port)) and time.monotonic() < deadline:
        time.sleep(0.05)
    server.connect(SERIAL)
    server.wait_for(SERIAL, "device")


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0
