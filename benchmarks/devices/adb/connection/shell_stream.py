"""A command that runs on a phone, over adb's shell protocol (version 2).

Packets are one byte of kind, four of length, and the data. Only an exit packet proves that the
command came to its end: without it the phone, the cable or the server is gone.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Iterator

from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.refusals import vanished
from cnn_export.benchmarks.results.protocol import bounded_lines
from cnn_export.errors import DeviceUnfit

STDOUT, STDERR, EXIT, CLOSE_STDIN = 1, 2, 3, 4
_HEADER = 5
_PACKET_MAX = 1 << 20
"""The protocol's own limit is adb's largest payload, 1 MiB."""
_TAIL_BYTES = 2000


class ShellStream:
    """The packets of one command. ``what`` names it in errors."""

    def __init__(
        self, connection: socket.socket, serial: str, what: str, timeout_s: float | None = None
    ) -> None:
        self._socket = connection
        self._reading = threading.RLock()
        self._serial, self._what = serial, what
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._tail = b""
        self._exit_code: int | None = None

    def packets(self) -> Iterator[tuple[int, bytes]]:
        """Yield standard output and standard error as they come; end where the stream ends.

        Raises:
            DeviceUnfit: what comes is no shell protocol, or the time is over.
        """
        while self._exit_code is None:
            header = self._read(_HEADER)
            if len(header) < _HEADER:
                return
            kind, length = header[0], int.from_bytes(header[1:], "little")
            if kind not in (STDOUT, STDERR, EXIT) or length > _PACKET_MAX:
                raise DeviceUnfit(
                    f"phone {clean(self._serial)} does not speak adb's shell protocol"
                )
            data = self._read(length)
            if len(data) < length:
                return
            if kind == EXIT:
                self._exit_code = data[0] if data else 255
                return
            if kind == STDERR:
                self._tail = (self._tail + data)[-_TAIL_BYTES:]
            yield kind, data

    def lines(self) -> Iterator[bytes]:
        """Yield lines of standard output as they come, bounded like a worker's.

        Raises:
            DeviceUnfit: as :meth:`packets`.
        """
        return bounded_lines(io.BufferedReader(_Output(self)))

    def stderr_tail(self) -> str:
        """Return the end of what came on standard error, fit to be shown."""
        return clean(self._tail, 300)

    def wait(self) -> int:
        """Let the command come to its end, and return its exit code.

        Raises:
            DeviceUnfit: the phone was lost before.
        """
        for _ in self.packets():
            pass
        if self._exit_code is None:
            raise vanished(self._serial, self._what)
        return self._exit_code

    def silent(self) -> bool:
        """Whether it still runs and has written nothing that was not read. Waits for nothing."""
        if self._exit_code is not None:
            return False
        try:
            self._socket.settimeout(0.0)
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass  # closed or reset
        return False

    def close_stdin(self) -> None:
        """Tell the command that no input will come."""
        try:
            self._socket.settimeout(self._time_left())
            self._socket.sendall(bytes([CLOSE_STDIN]) + bytes(4))
        except OSError as error:
            raise vanished(self._serial, self._what) from error

    def close(self) -> None:
        """End the stream, from any thread: the phone sends the command SIGHUP, a reader wakes."""
        with contextlib.suppress(OSError):  # it may have ended by itself
            self._socket.shutdown(socket.SHUT_RDWR)
        with self._reading:  # or the number of a closed socket might be another's by then
            self._socket.close()

    def _read(self, count: int) -> bytes:
        """Return ``count`` bytes, fewer where the stream ends."""
        parts: list[bytes] = []
        while count > 0:
            try:
                with self._reading:
                    self._socket.settimeout(self._time_left())
                    part = self._socket.recv(min(count, 1 << 16))
            except TimeoutError as error:
                raise DeviceUnfit(
                    f"phone {clean(self._serial)} did not finish {clean(self._what, 60)!r} in"
                    f" {self._timeout_s:.0f} s: check whether it hangs"
                ) from error
            except OSError:  # reset, or closed by close()
                return b""
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _time_left(self) -> float | None:
        # Zero would mean "do not wait" to a socket, which has an error of its own.
        return None if self._deadline is None else max(1e-3, self._deadline - time.monotonic())


class _Output(io.RawIOBase):
    """Standard output of a stream as a file to read."""

    def __init__(self, stream: ShellStream) -> None:
        self._chunks = (data for kind, data in stream.packets() if kind == STDOUT and data)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
