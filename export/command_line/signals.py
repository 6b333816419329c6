"""Signals that end a command: each has an exit code, and some code may not be interrupted."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Generator, Sequence
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a user, a system or a closed terminal ends a command with."""

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
_BY_SIGNAL = 128


class Stopped(KeyboardInterrupt):
    """An ending signal, for code that cleans up as after Ctrl-C; its text says which it was."""

    def __init__(self, number: int) -> None:
        super().__init__(word(number))
        self.number = number


def word(number: int) -> str:
    """Return what a user is told of an ending signal."""
    return _WORDS[signal.Signals(number)]


def exit_code(number: int) -> int:
    """Return the code that a shell gives to a process that the signal ended."""
    return _BY_SIGNAL + number


def ignore_ending() -> None:
    """Let no ending signal interrupt the end that is under way."""
    with contextlib.suppress(ValueError):  # not in the main thread, where none arrive
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def heeded(handle: Callable[[int], None]) -> Generator[None]:
    """Call ``handle`` with the number of each ending signal that arrives in the body.

    Signals that the caller ignores (``nohup``) stay ignored.
    """
    with _handled([n for n in ENDING if signal.getsignal(n) != signal.SIG_IGN], handle):
        yield


@contextlib.contextmanager
def held_back() -> Generator[None]:
    """Deliver ending signals only after the body."""
    pending: list[int] = []
    try:
        with _handled(ENDING, pending.append):
            yield
    finally:
        for number in pending:
            signal.raise_signal(number)


@contextlib.contextmanager
def _handled(numbers: Sequence[int], handle: Callable[[int], None]) -> Generator[None]:
    """Handle signals in the body; nothing is done outside the main thread, where none arrive."""

    def handler(number: int, frame: FrameType | None) -> None:
        del frame
        handle(number)

    previous = {number: signal.getsignal(number) for number in numbers}
    try:
        with contextlib.suppress(ValueError):  # not in the main thread
            for number in numbers:
                signal.signal(number, handler)
        yield
    finally:
        with contextlib.suppress(ValueError):
            for number, before in previous.items():
                signal.signal(number, before)
