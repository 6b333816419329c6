"""One phone: run commands on it, carry files there and back. Every failure is a typed error."""

from __future__ import annotations

import dataclasses
import os
import shlex
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from cnn_export.benchmarks.devices.adb.connection import transfer
from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.refusals import unfit, vanished
from cnn_export.benchmarks.devices.adb.connection.server import AdbServer
from cnn_export.benchmarks.devices.adb.connection.server_connection import Refused
from cnn_export.benchmarks.devices.adb.connection.shell_stream import STDOUT, ShellStream
from cnn_export.errors import DestinationError, DeviceUnfit, InputRefused

SHELL_TIMEOUT_S = 30.0
_OUTPUT_MAX = 1 << 24
"""Bytes of one command's output; the longest ``dumpsys`` has a few million."""
_PULL_MAX = 1 << 30
_FULL = ("no space left", "enospc", "disk quota")


@dataclasses.dataclass(frozen=True)
class Completed:
    """A command that came to its end on the phone."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output, as far as it is text. It is the phone's: clean before showing it."""
        return self.stdout.decode(errors="replace")


class Running(Protocol):
    """A command that is still running on the phone."""

    def lines(self) -> Iterator[bytes]:
        """Yield lines of standard output as they come, bounded; see ``bounded_lines``."""
        ...

    def stderr_tail(self) -> str:
        """Return the end of what came on standard error, fit to be shown."""
        ...

    def wait(self) -> int:
        """Return the exit code. Raises :class:`DeviceUnfit` if the phone was lost before."""
        ...

    def silent(self) -> bool:
        """Whether it still runs and has written nothing that was not read. Waits for nothing."""
        ...

    def close_stdin(self) -> None:
        """Tell the command that no input will come."""
        ...

    def close(self) -> None:
        """End the stream, from any thread; the phone sends the command SIGHUP."""
        ...


@dataclasses.dataclass(frozen=True)
class Phone:
    """A phone that an adb server sees. Nothing is asked of it before a method is called."""

    server: AdbServer
    serial: str

    @property
    def name(self) -> str:
        """The serial as it may be shown."""
        return clean(self.serial, 80)

    def shell(
        self, argv: Sequence[str], *, timeout_s: float = SHELL_TIMEOUT_S, check: bool = False
    ) -> Completed:
        """Run a command to its end; its words are quoted for the phone's shell.

        Raises:
            DeviceUnfit: the phone is not there, or lost, or it takes longer; with ``check``, the
                command failed.
        """
        running = self._started(argv, timeout_s)
        try:
            collected: dict[int, bytearray] = {}
            for kind, data in running.packets():
                collected.setdefault(kind, bytearray()).extend(data)
                if sum(map(len, collected.values())) > _OUTPUT_MAX:
                    raise DeviceUnfit(f"phone {self.name}: {_what(argv)!r} writes without end")
            exit_code = running.wait()
        finally:
            running.close()
        stdout = bytes(collected.pop(STDOUT, b""))
        stderr = b"".join(bytes(data) for data in collected.values())
        if check and exit_code != 0:
            reason = clean(stderr or stdout) or f"exit code {exit_code}"
            raise DeviceUnfit(f"phone {self.name} refused {_what(argv)!r}: {reason}")
        return Completed(exit_code, stdout, stderr)

    def script(
        self,
        text: str,
        *values: str,
        timeout_s: float = SHELL_TIMEOUT_S,
        check: bool = False,
    ) -> Completed:
        """Run a constant script of ours with ``values`` as ``$1``, ``$2``, ….

        Raises:
            DeviceUnfit: as :meth:`shell`.
        """
        return self.shell(script_words(text, *values), timeout_s=timeout_s, check=check)

    def start(self, argv: Sequence[str]) -> Running:
        """Start a command and return while it runs.

        Raises:
            DeviceUnfit: the phone is not there.
        """
        return self._started(argv, None)

    def push(self, source: Path, target: str) -> None:
        """Write a file on the phone. A failure may leave part of it.

        Raises:
            DeviceUnfit: the phone is gone.
            DestinationError: it cannot write the file: its disk is full, or it may not.
            InputRefused: ``source`` cannot be read.
        """
        connection = self._open("sync:", "push")
        try:
            transfer.send_file(connection, source, target)
        except transfer.Lost as error:
            raise vanished(self.serial, f"push {source.name}") from error
        except transfer.Failed as error:
            raise _not_written(self.name, target, str(error)) from error
        except OSError as error:
            raise InputRefused(f"cannot read {source}: {error.strerror}") from error
        finally:
            connection.close()

    def pull(self, source: str, target: Path) -> None:
        """Copy a file from the phone; ``target`` is whole or untouched.

        Raises:
            DeviceUnfit: the phone is gone.
            InputRefused: the phone cannot read the file.
            DestinationError: ``target`` cannot be written.
        """
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        connection = self._open("sync:", "pull")
        try:
            with partial.open("wb") as opened:
                for chunk in transfer.receive_file(connection, source, _PULL_MAX):
                    opened.write(chunk)
            partial.replace(target)
        except transfer.Lost as error:
            raise vanished(self.serial, f"pull {source}") from error
        except transfer.Failed as error:
            raise InputRefused(
                f"phone {self.name} cannot read {clean(source)}: {clean(str(error))}"
            ) from error
        except OSError as error:
            raise DestinationError(f"cannot write {target}: {error.strerror}") from error
        finally:
            partial.unlink(missing_ok=True)
            connection.close()

    def read_text(self, path: str) -> str:
        """Return a small file's text without its last line break; empty where it cannot be read.

        Raises:
            DeviceUnfit: the phone is gone.
        """
        found = self.shell(["cat", path])
        return found.text.rstrip("\n") if found.exit_code == 0 else ""

    def _started(self, argv: Sequence[str], timeout_s: float | None) -> ShellStream:
        # The phone hangs up its shell alone when the stream is closed: that has to be the command.
        connection = self._open(f"shell,v2,raw:exec {shlex.join(argv)}", _what(argv))
        return ShellStream(connection, self.serial, _what(argv), timeout_s)

    def _open(self, service: str, what: str) -> socket.socket:
        try:
            return self.server.open(service, self.serial)
        except Refused as error:
            if str(error) == "closed":
                raise vanished(self.serial, what) from error
            raise unfit(self.serial, str(error)) from error


def script_words(text: str, *values: str) -> list[str]:
    """Return the command for a constant script; ``values`` never become part of its text."""
    return ["sh", "-c", text, "sh", *values]


def _what(argv: Sequence[str]) -> str:
    """Return a command's name for errors; a script's is its first words."""
    words = argv[2:3] if list(argv[:2]) == ["sh", "-c"] else argv
    return clean(" ".join(words), 60)


def _not_written(phone: str, target: str, reason: str) -> DestinationError:
    if any(word in reason.lower() for word in _FULL):
        return DestinationError(
            f"phone {phone} has no space left for {clean(target)}: free some"
            " ('adb shell df /data' shows it)"
        )
    return DestinationError(f"phone {phone} cannot write {clean(target)}: {clean(reason)}")
