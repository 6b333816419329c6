"""Readers of what a phone sends, on whatever it sends: shell packets, and files."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_export.benchmarks.devices.adb.connection import transfer
from cnn_export.benchmarks.devices.adb.connection.shell_stream import (
    EXIT,
    STDERR,
    STDOUT,
    ShellStream,
)
from cnn_export.benchmarks.results.protocol import MAX_LINE_BYTES
from cnn_export.errors import DeviceUnfit


def _packet(kind: int, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data


@contextlib.contextmanager
def _sent(data: bytes, *, end: bool = True) -> Generator[socket.socket]:
    """A connection on which a phone has sent ``data``, and then hung up."""
    near, far = socket.socketpair()
    with near, far:
        sender = threading.Thread(target=_send, args=(far, data, end), daemon=True)
        sender.start()
        yield near
        near.close()
        sender.join()


def _send(far: socket.socket, data: bytes, end: bool) -> None:
    with contextlib.suppress(OSError):
        far.sendall(data)
        if end:
            far.shutdown(socket.SHUT_WR)


def _stream(connection: socket.socket, timeout_s: float | None = 5.0) -> ShellStream:
    return ShellStream(connection, "0A1B", "the command", timeout_s)


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(0, 255))
def test_lines_come_whole_however_they_were_cut(parts: list[bytes], code: int) -> None:
    data = b"".join(_packet(STDOUT, part) for part in parts)
    with _sent(data + _packet(STDERR, b"why\n") + _packet(EXIT, bytes([code]))) as connection:
        stream = _stream(connection)
        expected = re.split(rb"(?<=\n)", b"".join(parts))
        assert list(stream.lines()) == [line for line in expected if line]
        assert stream.wait() == code
        assert stream.stderr_tail() == "why"


def test_a_line_without_end_is_cut_and_the_next_one_is_whole() -> None:
    data = _packet(STDOUT, b"x" * 10_000) * 3 + _packet(STDOUT, b"\nnext\n") + _packet(EXIT, b"\0")
    with _sent(data) as connection:
        lines = list(_stream(connection).lines())
    assert [len(line) for line in lines] == [MAX_LINE_BYTES + 1, 5]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_lost_phone_or_no_shell(data: bytes) -> None:
    with _sent(data) as connection:
        stream = _stream(connection)
        try:
            for _ in stream.packets():
                pass
            stream.wait()
        except DeviceUnfit:
            return
        assert bytes([EXIT]) in data


def test_a_packet_of_four_gigabytes_is_not_awaited() -> None:
    with (
        _sent(b"\x01\xff\xff\xff\xff" + b"x" * 100, end=False) as connection,
        pytest.raises(DeviceUnfit, match="shell protocol"),
    ):
        list(_stream(connection).packets())


def test_time_is_bounded_and_told() -> None:
    with (
        _sent(_packet(STDOUT, b"begun"), end=False) as connection,
        pytest.raises(DeviceUnfit, match="did not finish 'the command' in 0 s"),
    ):
        list(_stream(connection, 0.2).packets())


def test_a_reader_wakes_when_another_thread_closes() -> None:
    with _sent(_packet(STDOUT, b"begun\n"), end=False) as connection:
        stream = _stream(connection, None)
        lines = stream.lines()
        assert next(lines) == b"begun\n"
        assert stream.silent()
        closer = threading.Timer(0.1, stream.close)
        closer.start()
        assert list(lines) == []
        closer.join()
        assert not stream.silent()
        with pytest.raises(DeviceUnfit, match="was lost"):
            stream.wait()


def test_a_stream_that_has_something_to_say_is_not_silent() -> None:
    with _sent(b"", end=False) as connection:
        assert _stream(connection).silent()
    with _sent(_packet(EXIT, b"\0"), end=False) as connection:
        stream = _stream(connection)
        until = time.monotonic() + 5
        while stream.silent() and time.monotonic() < until:
            time.sleep(0.01)
        assert not stream.silent()


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=5))
def test_a_file_is_what_was_sent(parts: list[bytes]) -> None:
    data = b"".join(b"DATA" + struct.pack("<I", len(part)) + part for part in parts)
    with _sent(data + b"DONE\0\0\0\0") as connection:
        assert b"".join(transfer.receive_file(connection, "/x", 1000)) == b"".join(parts)


@given(st.binary(max_size=100))
def test_any_answer_to_a_pull_is_a_file_or_an_error(data: bytes) -> None:
    with _sent(data) as connection, contextlib.suppress(transfer.Failed, transfer.Lost):
        received = b"".join(transfer.receive_file(connection, "/x", 1000))
        assert received in data


def test_a_file_longer_than_allowed_is_given_up() -> None:
    chunk = b"DATA" + struct.pack("<I", 1000) + bytes(1000)
    with _sent(chunk * 3) as connection, pytest.raises(transfer.Failed, match="longer than 1500"):
        list(transfer.receive_file(connection, "/x", 1500))


def test_a_phone_that_gives_up_amid_a_push_says_why(tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(bytes(4 << 20))
    near, far = socket.socketpair()
    words = b"No space left on device"

    def refuse() -> None:
        far.recv(100_000)
        far.sendall(b"FAIL" + struct.pack("<I", len(words)) + words)
        far.shutdown(socket.SHUT_RD)

    with near, far:
        threading.Thread(target=refuse, daemon=True).start()
        connection = near
        with pytest.raises(transfer.Failed, match="No space left"):
            transfer.send_file(connection, source, "/data/local/tmp/big")
