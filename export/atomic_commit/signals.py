"""Hold signals back while something must not be left half done."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Generator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_held_back() -> Generator[None]:
    """Deliver signals that end the process only after the body.

    Outside the main thread nothing is to be held back: Python runs handlers in that thread.
    """
    pending: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        pending.append(number)

    previous = {n: signal.getsignal(n) for n in _SIGNALS}
    try:
        with contextlib.suppress(ValueError):
            for number in _SIGNALS:
                signal.signal(number, note)
        yield
    finally:
        with contextlib.suppress(ValueError):
            for number in _SIGNALS:
                signal.signal(number, previous[number])
        for number in pending:
            signal.raise_signal(number)
