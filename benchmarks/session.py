"""From a worker's messages to one repeat that counts, or the reason why it does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from cnn_export.benchmarks.protocol import (
    PROTOCOL_VERSION,
    Damaged,
    End,
    Failure,
    Hello,
    Message,
    Sample,
)
from cnn_export.errors import (
    ExportError,
    InputRefused,
    ParityError,
    TargetUnavailable,
    UsageError,
)

_FAILURES: dict[int, type[ExportError]] = {
    kind.exit_code: kind for kind in (UsageError, ParityError, InputRefused, TargetUnavailable)
}


class IncompleteRun(ExportError):
    """The worker's report has a gap, so none of it counts."""


@dataclasses.dataclass(frozen=True)
class Repeat:
    """One worker process: what it ran in, and nanoseconds of every inference in order."""

    hello: Hello
    samples_ns: tuple[int, ...]


def complete_repeat(received: Iterable[Message | Damaged]) -> Repeat:
    """Return the repeat if the messages are whole.

    Raises:
        ExportError: the subclass that the worker's own failure stands for.
        IncompleteRun: a line is damaged, missing, out of place or of another protocol.
    """
    items = list(received)
    for item in items:
        if isinstance(item, Failure):
            raise _FAILURES.get(item.exit_code, ExportError)(item.message)
    damaged = [item for item in items if isinstance(item, Damaged)]
    if damaged:
        raise IncompleteRun(f"{len(damaged)} damaged lines, the first: {damaged[0].reason}")
    return _in_order(items)


def _in_order(items: list[Message | Damaged]) -> Repeat:
    if not items or not isinstance(items[0], Hello):
        raise IncompleteRun("the worker never said 'hello'")
    hello, last = items[0], items[-1]
    if hello.protocol != PROTOCOL_VERSION:
        raise IncompleteRun(
            f"the worker speaks protocol {hello.protocol}, this command {PROTOCOL_VERSION}"
        )
    if not isinstance(last, End):
        raise IncompleteRun("the worker stopped before its 'end'")
    samples = tuple(item.ns for item in items[1:-1] if isinstance(item, Sample))
    if len(samples) != len(items) - 2:
        raise IncompleteRun("the worker repeated 'hello' or 'end'")
    if not samples or len(samples) != last.count:
        raise IncompleteRun(f"{len(samples)} samples arrived, the worker wrote {last.count}")
    return Repeat(hello, samples)
