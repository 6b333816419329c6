"""A private adb server: its own port, its own keys, no USB, no network discovery."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import adbutils

_START_S = 20


class AdbServer:
    """The real adb server of adbutils' wheel, on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.adb = adbutils.adb_path()
        self.port = _free_port()
        self.home = Path(tempfile.mkdtemp(prefix="adb-home-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        """What a client, or a whole ``cnn-bench``, needs to find this server and no other."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ADB_", "ANDROID_"))}
        return inherited | self.changes

    @property
    def changes(self) -> dict[str, str]:
        return {
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            "HOME": str(self.home),
            "ADB_LOCAL_TRANSPORT_MAX_PORT": "5553",
            "ADB_MDNS": "0",
            "ADB_MDNS_AUTO_CONNECT": "0",
            "ADB_USB": "0",
        }

    def start(self) -> None:
        log = (self.home / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self.adb, "-L", f"tcp:{self.port}", "server", "nodaemon"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.home / "server.log").read_text())
            time.sleep(0.02)

    def kill(self) -> None:
        """End the server without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def run(self, *words: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        """Call the adb client."""
        return subprocess.run(
            [self.adb, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )

    def connect(self, address: str) -> str:
        """Let the server connect to a phone; return what it said."""
        return self.run("connect", address).stdout.strip()

    def begin_connect(self, address: str) -> None:
        """Let the server connect without waiting for it, as a phone that never answers needs."""
        threading.Thread(target=self.connect, args=(address,), daemon=True).start()

    def state(self, serial: str) -> str:
        """Return what ``adb devices`` says of a phone; nothing when it is not listed."""
        lines = [line.split("\t") for line in self.run("devices").stdout.splitlines()]
        return next((line[1] for line in lines if line[0] == serial and len(line) > 1), "")

    def wait_for(self, serial: str, state: str, within_s: float = 20) -> None:
        deadline = time.monotonic() + within_s
        while (now := self.state(serial)) != state:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{serial} is {now or 'not there'}, not {state}")
            time.sleep(0.05)

    def close(self) -> None:
        self.kill()
        if _answers(self.port):  # what was under test has started another when this one was killed
            self.run("kill-server")
        shutil.rmtree(self.home, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
