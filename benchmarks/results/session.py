"""From a worker's messages to one process that counts, or the reason why it does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from cnn_export.benchmarks.results.protocol import (
    PROTOCOL_VERSION,
    Damaged,
    End,
    Failure,
    Hello,
    MemoryUse,
    Message,
    PairSample,
    Sample,
    State,
)
from cnn_export.errors import (
    DeviceUnfit,
    ExportError,
    InputRefused,
    ParityError,
    TargetUnavailable,
    UsageError,
)

_FAILURES: dict[int, type[ExportError]] = {
    kind.exit_code: kind
    for kind in (UsageError, ParityError, InputRefused, TargetUnavailable, DeviceUnfit)
}
_CONSTANT_FROM = 10
"""This many equal times in a row are no measurement: a real clock resolves some difference."""

Measurement = Sample | PairSample | MemoryUse
MEASUREMENTS: Mapping[str, type[Measurement]] = {
    "time": Sample,
    "pair": PairSample,
    "memory": MemoryUse,
}
"""What a worker reports for each kind of job."""


class IncompleteRun(ExportError):
    """The worker's report has a gap, so none of it counts."""


@dataclasses.dataclass(frozen=True)
class Session:
    """One worker process: a ``hello`` per artifact, its measurements in order, and its ``end``.

    ``before`` and ``after`` are the phone's state around the measurements, where it was told.
    """

    hellos: tuple[Hello, ...]
    measurements: tuple[Measurement, ...]
    end: End
    before: State | None = None
    after: State | None = None

    @property
    def hello(self) -> Hello:
        """The first artifact's."""
        return self.hellos[0]

    @property
    def samples_ns(self) -> tuple[int, ...]:
        """Nanoseconds of every inference, in order."""
        return tuple(item.ns for item in self.measurements if isinstance(item, Sample))

    @property
    def pairs_ns(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Nanoseconds of every inference of the first and of the second artifact, paired."""
        pairs = [item for item in self.measurements if isinstance(item, PairSample)]
        return tuple(pair.a_ns for pair in pairs), tuple(pair.b_ns for pair in pairs)

    @property
    def memory(self) -> MemoryUse | None:
        """What the memory pass found."""
        return next((item for item in self.measurements if isinstance(item, MemoryUse)), None)


def complete_session(
    received: Iterable[Message | Damaged], kind: type[Measurement] = Sample
) -> Session:
    """Return the session if the messages are whole and the measurements are of ``kind``.

    Raises:
        ExportError: the subclass that the worker's own failure stands for.
        IncompleteRun: a line is damaged, missing, out of place or of another protocol, or the
            times cannot be times.
    """
    items = list(received)
    for item in items:
        if isinstance(item, Failure):
            raise _FAILURES.get(item.exit_code, ExportError)(item.message)
    damaged = [item for item in items if isinstance(item, Damaged)]
    if damaged:
        raise IncompleteRun(f"{len(damaged)} damaged lines, the first: {damaged[0].reason}")
    session = _in_order(items, kind)
    _require_plausible(session)
    return session


def _in_order(items: Sequence[Message | Damaged], kind: type[Measurement]) -> Session:
    artifacts = 2 if kind is PairSample else 1
    hellos = tuple(item for item in items[:artifacts] if isinstance(item, Hello))
    if len(hellos) < artifacts:
        raise IncompleteRun("the worker never said 'hello'")
    _require_protocol(hellos[0])
    last = items[-1]
    if not isinstance(last, End):
        ended = any(isinstance(item, End) for item in items)
        raise IncompleteRun(
            "the worker went on after its 'end'" if ended else "the worker stopped before its 'end'"
        )
    body = list(items[artifacts:-1])
    before = _taken_state(body, 0)
    after = _taken_state(body, -1)
    measurements = tuple(item for item in body if isinstance(item, kind))
    if len(measurements) != len(body):
        stray = next(item for item in body if not isinstance(item, kind))
        raise IncompleteRun(f"a stray or repeated {_name(stray)!r} among the measurements")
    if not measurements or len(measurements) != last.count:
        raise IncompleteRun(
            f"{len(measurements)} measurements arrived, the worker wrote {last.count}"
        )
    return Session(hellos, measurements, last, before, after)


def _taken_state(body: list[Message | Damaged], place: int) -> State | None:
    """Take the state out of ``body`` if one stands at ``place``."""
    found = body[place] if body else None
    if not isinstance(found, State):
        return None
    body.pop(place)
    return found


def _require_protocol(hello: Hello) -> None:
    if hello.protocol != PROTOCOL_VERSION:
        raise IncompleteRun(
            f"the worker speaks protocol {hello.protocol}, this command {PROTOCOL_VERSION}"
        )


def _name(item: Message | Damaged) -> str:
    return "damaged line" if isinstance(item, Damaged) else item.cnn_bench


def _require_plausible(session: Session) -> None:
    if any(0 in (hello.load_ns, hello.first_ns) for hello in session.hellos):
        raise IncompleteRun("loading or the first inference took 0 ns: the clock is too coarse")
    for times in (session.samples_ns, *session.pairs_ns):
        if 0 in times:
            raise IncompleteRun("a time of 0 ns: the device's clock is too coarse")
        if len(times) >= _CONSTANT_FROM and len(set(times)) == 1:
            raise IncompleteRun(
                f"all {len(times)} times are {times[0]} ns: the device's clock does not tell"
                " inferences apart"
            )
