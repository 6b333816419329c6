"""The same work on every device of a call, each in a thread of its own."""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from cnn_export.benchmarks.devices.contract import Device
from cnn_export.command_line import signals
from cnn_export.errors import ExportError

_Value = TypeVar("_Value")
_POLL_S = 0.2
"""How often the waiting thread wakes: not every system interrupts a wait without end by Ctrl-C."""


@dataclasses.dataclass(frozen=True)
class ByDevice(Generic[_Value]):
    """What the devices came to, by name.

    ``interrupted`` is the word of the signal by which the user stopped them, ``None`` without.
    """

    values: Mapping[str, _Value]
    errors: Mapping[str, ExportError]
    interrupted: str | None


class _Work(threading.Thread, Generic[_Value]):
    """Work on one device; what it raises is kept, not lost with the thread."""

    def __init__(self, name: str, work: Callable[[], _Value]) -> None:
        super().__init__(daemon=True, name=name)
        self._work = work
        self.value: _Value | None = None
        self.error: BaseException | None = None
        self._ended = threading.Event()

    def ended_within(self, seconds: float) -> bool:
        """Wait for the end. An interrupted ``join`` of Python 3.11 takes a thread for ended."""
        return self._ended.wait(seconds)

    def run(self) -> None:
        try:
            self.value = self._work()
        except BaseException as error:
            self.error = error
        finally:
            self._ended.set()


def side_by_side(
    work: Mapping[str, Callable[[], _Value]], devices: Sequence[Device]
) -> ByDevice[_Value]:
    """Let all ``work``, by the device's name, come to its end; what fails stops no other.

    An interruption stops ``devices``, and their work then ends by itself.

    Raises:
        Exception: what is no :class:`ExportError` of one of them, once all have ended.
    """
    threads = [_Work(name, each) for name, each in work.items()]
    interrupted: str | None = None
    try:
        for thread in threads:
            thread.start()
        _join(threads)
    except KeyboardInterrupt as signalled:
        interrupted = str(signalled) or signals.word(signal.SIGINT)
        for device in devices:
            device.stop(interrupted)
        _join(thread for thread in threads if thread.ident is not None)
    errors: dict[str, ExportError] = {}
    for thread in threads:
        if isinstance(thread.error, ExportError):
            errors[thread.name] = thread.error
        elif thread.error is not None:
            raise thread.error
    values = {thread.name: thread.value for thread in threads if thread.value is not None}
    return ByDevice(values, errors, interrupted)


def _join(threads: Iterable[_Work[_Value]]) -> None:
    for thread in threads:
        while not thread.ended_within(_POLL_S):
            pass
