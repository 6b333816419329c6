"""What a runtime's own profiler tells, before it is joined with the file's cost."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Event:
    """One operator as the runtime ran it; ``samples_ns`` holds its time in every inference.

    ``covers`` names the file's operators that it computes, as :mod:`cnn_export.benchmarks.cost`
    names them; ``None`` where only the order of operators can tell.
    """

    name: str
    kind: str
    samples_ns: tuple[int, ...]
    covers: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Trace:
    """Events in the runtime's order, each with as many samples as there were inferences.

    ``profiled_ns`` are the whole calls with the profiler on, ``plain_ns`` those without (empty
    where unknown).
    """

    events: tuple[Event, ...]
    profiled_ns: tuple[int, ...]
    plain_ns: tuple[int, ...]
    notes: tuple[str, ...] = ()


def transposed(runs: list[list[tuple[str, str, int]]]) -> tuple[Event, ...]:
    """Return events from per-inference lists of (name, kind, ns) of equal order.

    Raises:
        ValueError: there is no inference, or inferences ran different operators.
    """
    orders = {tuple((name, kind) for name, kind, _ in run) for run in runs}
    if len(orders) != 1:
        raise ValueError(f"the inferences ran {len(orders)} different sequences of operators")
    return tuple(
        Event(name, kind, tuple(run[index][2] for run in runs))
        for index, (name, kind) in enumerate(orders.pop())
    )
