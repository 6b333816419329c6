"""Readers that do in a bounded process what hostile files make readers do."""

from __future__ import annotations

import ctypes
import math
import os
import socket
import time
from typing import Any

from cnn_export.errors import CheckpointError

_taken: list[bytes] = []


def content(*contents: bytes, **arguments: Any) -> Any:
    return [[bytes(each[:20]).decode() for each in contents], arguments]


def refuses(name: str) -> None:
    raise CheckpointError(f"{name} is bad\nin two lines")


def takes_first() -> None:
    """Take more memory than a reader may have, before there are limits."""
    _taken.append(bytes(100 * 2**20))


def taken_first() -> int:
    """Return what was taken before the limits were set."""
    return sum(map(len, _taken))


def fails() -> None:
    raise ZeroDivisionError("by nothing")


def takes_memory() -> int:
    return len(b"x" * 2**32)


def takes_cpu() -> None:
    while True:
        pass


def waits() -> None:
    time.sleep(600)


def talks() -> str:
    return "x" * 2**21


def crashes() -> None:
    ctypes.string_at(1)


def leaves() -> None:
    os._exit(0)


def lies() -> None:
    os.write(1, b'["refused", {"a": 1}]')
    os._exit(0)


def raves() -> None:
    os.write(1, b"[" * 100_000)
    os._exit(0)


def not_json() -> Any:
    return {"a": object()}


def infinite() -> float:
    return math.inf


def opens_a_file() -> None:
    os.close(os.open(__file__, os.O_RDONLY))


def connects() -> None:
    socket.socket()


def starts_a_process() -> None:
    os.fork()


def writes(_content: object, descriptor: int) -> None:
    os.write(descriptor, b"more")


def exits() -> None:
    raise SystemExit(3)


def signals() -> None:
    os.kill(os.getpid(), 40)
