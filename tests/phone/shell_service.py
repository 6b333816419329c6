"""Commands in the phone's shell: ``shell`` (v1 and v2) and ``exec``."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import IO

from phone.paths import Paths, Unmapping
from phone.stream import Stream, StreamClosed

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN, WINDOW = range(6)
_CHUNK = 16384

Tap = Callable[[bytes], None]
"""Sees what the command writes to standard output before the host does."""


def run_v2(command: str, stream: Stream, paths: Paths, environment: Mapping[str, str], tap: Tap):
    """Run a command; both outputs, input and the exit status in packets of their own."""
    process = _start(command, paths, environment, separate_errors=True)
    lock = threading.Lock()

    def send(kind: int, data: bytes) -> None:
        if data:
            with lock:
                stream.write(struct.pack("<BI", kind, len(data)) + data)

    def out(data: bytes) -> None:
        tap(data)
        send(STDOUT, data)

    pumps = [
        _pump(process.stdout, out, paths, process),
        _pump(process.stderr, lambda data: send(STDERR, data), paths, process),
    ]
    _daemon(_feed_v2, stream, process)
    for pump in pumps:
        pump.join()
    code = process.wait()
    with contextlib.suppress(OSError):
        send(EXIT, bytes([code if code >= 0 else 128 - code]))
        stream.close()


def run_raw(command: str, stream: Stream, paths: Paths, environment: Mapping[str, str], tap: Tap):
    """Run a command whose input and output are the stream itself; its status is lost."""
    process = _start(command, paths, environment, separate_errors=False)

    def out(data: bytes) -> None:
        tap(data)
        stream.write(data)

    pump = _pump(process.stdout, out, paths, process)
    _daemon(_feed_raw, stream, process)
    pump.join()
    process.wait()
    with contextlib.suppress(OSError):
        stream.close()


def _start(
    command: str, paths: Paths, environment: Mapping[str, str], *, separate_errors: bool
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", os.fsencode(paths.command(command))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if separate_errors else subprocess.STDOUT,
        cwd=paths.root,
        env=environment,
        start_new_session=True,
        bufsize=0,
    )


def _pump(
    source: IO[bytes] | None,
    send: Tap,
    paths: Paths,
    process: subprocess.Popen[bytes],
) -> threading.Thread:
    """Pass on what the process writes. A host that is gone ends it as a real phone does."""
    assert source is not None

    def work() -> None:
        unmapping = Unmapping(paths.root)
        with source, contextlib.suppress(ValueError):
            try:
                while data := source.read(_CHUNK):
                    send(unmapping.feed(data))
                send(unmapping.rest())
            except OSError:
                hang_up(process)

    return _daemon(work)


def hang_up(process: subprocess.Popen[bytes]) -> None:
    """Tell the shell, and only the shell, that whoever listened is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGHUP)


def _feed_v2(stream: Stream, process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError):
        try:
            while True:
                kind, size = struct.unpack("<BI", stream.read_exactly(5))
                data = stream.read_exactly(size)
                if kind == STDIN:
                    _write(process, data)
                elif kind == CLOSE_STDIN and process.stdin is not None:
                    process.stdin.close()
        except StreamClosed:
            _host_left(process)


def _feed_raw(stream: Stream, process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := stream.read_some():
            _write(process, data)
        _host_left(process)


def _host_left(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        hang_up(process)
    for pipe in (process.stdin,):
        if pipe is not None:
            pipe.close()


def _write(process: subprocess.Popen[bytes], data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        if process.stdin is not None:
            view = memoryview(data)
            while view:
                view = view[process.stdin.write(view) or 0 :]


def _daemon(work: Callable[..., None], *values: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=values, daemon=True)
    thread.start()
    return thread
