"""A phone without adb: this machine's shell, with programs of Android's names that keep files.

What the scripts under test do is real: real sh, real processes, real signals. Only the programs
``settings``, ``cmd``, ``input``, ``dumpsys`` and ``getprop`` are stand-ins, and all they know lies
in one folder, which tests read and write.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from cnn_export.benchmarks.devices.adb.connection.phone import Completed
from cnn_export.benchmarks.results.protocol import bounded_lines
from cnn_export.errors import DeviceLost

_PROGRAMS = {
    "settings": """
verb=$1 space=$2 key=$3 value=$4; file=$STATE/$space.$key
[ -e "$STATE/broken.settings" ] && { echo "cmd: Can't find service: settings"; exit 20; }
echo "settings $*" >>"$STATE/calls"
case $verb in
  get) cat "$file" 2>/dev/null || echo null ;;
  put) echo "$value" >"$file" ;;
  delete) rm -f "$file"; echo "Deleted 1 rows" ;;
esac""",
    "cmd": """
echo "cmd $*" >>"$STATE/calls"
[ -e "$STATE/no_fixed_performance" ] && { echo Failed to set FIXED_PERFORMANCE mode >&2; exit 255; }
echo "$3" >"$STATE/fixed_performance\"""",
    "input": """
echo "input $*" >>"$STATE/calls"
case $2 in 224) echo Awake ;; *) echo Asleep ;; esac >"$STATE/wakefulness\"""",
    "dumpsys": """
case $1 in
  power) echo "POWER MANAGER"; echo "  mWakefulness=$(cat "$STATE/wakefulness")" ;;
  *) cat "$STATE/dumpsys.$1" ;;
esac""",
    "getprop": 'cat "$STATE/prop.$1" 2>/dev/null || echo',
}
BATTERY = "  USB powered: true\n  status: 2\n  level: 80\n  scale: 100\n  temperature: 290\n"
THERMAL = "Thermal Status: 0\nCurrent temperatures from HAL:\n"


class LocalRunning:
    """A process of this machine as a command of the phone; its streams are sockets, as adbd's."""

    def __init__(self, words: Sequence[str], environment: dict[str, str]) -> None:
        self._input, stdin = socket.socketpair()
        self._output, stdout = socket.socketpair()
        with stdin, stdout:
            self._process = subprocess.Popen(
                words,
                stdin=stdin.fileno(),
                stdout=stdout.fileno(),
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def lines(self) -> Iterator[bytes]:
        return bounded_lines(self._output.makefile("rb"))

    def stderr_tail(self) -> str:
        return ""

    def wait(self) -> int:
        return self._process.wait()

    def silent(self) -> bool:
        try:
            self._output.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def close_stdin(self) -> None:
        self._input.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Do what adbd does when its peer is gone: SIGHUP to the command, and closed streams."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGHUP)
        for end in (self._input, self._output):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class LocalPhone:
    """Stands where a ``Phone`` is asked for. ``state`` is the folder with all that it knows."""

    serial = name = "local"

    def __init__(self, folder: Path, shell: str = "sh", api_level: int = 33) -> None:
        self.state, self.tmp = folder / "state", folder / "tmp"
        programs = folder / "bin"
        for each in (self.state, self.tmp, programs):
            each.mkdir(parents=True)
        for program, text in _PROGRAMS.items():
            (programs / program).write_text(f"#!/bin/sh\n{text}\n")
            (programs / program).chmod(0o755)
        self._shell = shell
        self._environment = os.environ | {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "STATE": str(self.state),
        }
        self.gone = False
        self.started: list[LocalRunning] = []
        self.write("wakefulness", "Awake")
        self.write("dumpsys.battery", BATTERY)
        self.write("dumpsys.thermalservice", THERMAL)
        self.write("prop.ro.build.version.sdk", str(api_level))
        self.write("prop.sys.boot_completed", "1")

    def write(self, name: str, text: str) -> None:
        (self.state / name).write_text(text + "\n")

    def read(self, name: str) -> str | None:
        file = self.state / name
        return file.read_text().strip() if file.exists() else None

    def start(self, argv: Sequence[str]) -> LocalRunning:
        if self.gone:
            raise DeviceLost("phone local is not connected")
        words = [self._shell, *argv[1:]] if argv[0] == "sh" else list(argv)
        self.started.append(LocalRunning(words, self._environment))
        return self.started[-1]

    def shell(
        self, argv: Sequence[str], *, timeout_s: float = 30.0, check: bool = False
    ) -> Completed:
        if self.gone:
            raise DeviceLost("phone local is not connected")
        words = [self._shell, *argv[1:]] if argv[0] == "sh" else list(argv)
        done = subprocess.run(
            words, env=self._environment, capture_output=True, timeout=timeout_s, check=check
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    def script(
        self, text: str, *values: str, timeout_s: float = 30.0, check: bool = False
    ) -> Completed:
        return self.shell(["sh", "-c", text, "sh", *values], timeout_s=timeout_s, check=check)

    def lose(self) -> None:
        """Pull the cable: whatever runs loses its streams."""
        self.gone = True
        for running in self.started:
            running.close()
        self.started.clear()
