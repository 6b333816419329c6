"""Time single inferences one by one, and keep every one of them.

Warm-up ends by a rule, not by a number: inferences run in windows of a tenth of the measuring
time (at least :data:`WINDOW_INFERENCES` each), until the medians of the last two windows differ
by at most :data:`SETTLED_WITHIN`; of two artifacts both must. It is given up, and the result
flagged, once it took as long as the measuring shall take (but :data:`MINIMUM_WINDOWS` windows at
least) or :data:`WARM_UP_INFERENCES_MAX` inferences. Weighing the windows cools the caches, so
:data:`LEAD_IN_INFERENCES` more come right before the first sample. Between two samples stand two
clock calls and one append; only the call itself is inside.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Generator, Sequence

SETTLED_WITHIN = 0.02
"""Relative difference of two windows' medians that counts as none."""
WINDOW_SHARE = 0.1
WINDOW_INFERENCES = 3
MINIMUM_WINDOWS = 3
WARM_UP_INFERENCES_MAX = 20_000
LEAD_IN_INFERENCES = 5
MINIMUM_SAMPLES = 10
MAXIMUM_SAMPLES = 100_000
"""Bounds memory and the report of a network that takes microseconds."""

Infer = Callable[[], None]
Clock = Callable[[], int]
Series = list[int]
"""Nanoseconds of each inference of one artifact."""


@dataclasses.dataclass(frozen=True)
class Timed:
    """One series per artifact, and how many inferences of each came before it."""

    series: tuple[Series, ...]
    warm_up: int
    settled: bool


def timed_inferences(
    infer: Infer, min_time_s: float, clock_ns: Clock = time.perf_counter_ns
) -> Timed:
    """Warm up, then run for at least ``min_time_s``; return nanoseconds of each inference."""

    def run(seconds: float, minimum: int, maximum: int) -> tuple[Series, ...]:
        return (_run_for(infer, seconds, minimum, maximum, clock_ns),)

    return _warm_then_timed(run, min_time_s, clock_ns)


def timed_pairs(
    infers: tuple[Infer, Infer],
    min_time_s: float,
    *,
    b_first: bool = False,
    block: int = 1,
    clock_ns: Clock = time.perf_counter_ns,
) -> Timed:
    """Interleave two artifacts for at least ``min_time_s`` each, ``block`` inferences at a time.

    The two series are of equal length; the ``i``-th of both ran right after one another (in the
    same two blocks). ``b_first`` lets the second artifact begin every round.
    """

    def run(seconds: float, minimum: int, maximum: int) -> tuple[Series, ...]:
        order = infers[::-1] if b_first else infers
        found = _interleave_for(order, 2 * seconds, (minimum, maximum), block, clock_ns)
        return found[::-1] if b_first else found

    return _warm_then_timed(run, min_time_s, clock_ns)


_Run = Callable[[float, int, int], tuple[Series, ...]]
"""Seconds, fewest and most inferences → the series."""


def _warm_then_timed(run: _Run, min_time_s: float, clock_ns: Clock) -> Timed:
    with no_collections():
        count, settled = _warm_up(run, min_time_s, clock_ns)
        count += len(run(0.0, LEAD_IN_INFERENCES, LEAD_IN_INFERENCES)[0])
        return Timed(run(min_time_s, MINIMUM_SAMPLES, MAXIMUM_SAMPLES), count, settled)


def _warm_up(run: _Run, min_time_s: float, clock_ns: Clock) -> tuple[int, bool]:
    """Return how many inferences of each artifact it took, and whether they settled."""
    deadline = clock_ns() + round(min_time_s * 1e9)
    count, windows, before = 0, 0, None
    while True:
        left = max(1, WARM_UP_INFERENCES_MAX - count)
        window = run(WINDOW_SHARE * min_time_s, WINDOW_INFERENCES, left)
        count, windows = count + len(window[0]), windows + 1
        medians = [statistics.median(series) for series in window]
        if before is not None and is_settled(before, medians):
            return count, True
        late = clock_ns() >= deadline and windows >= MINIMUM_WINDOWS
        if late or count >= WARM_UP_INFERENCES_MAX:
            return count, False
        before = medians


def is_settled(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether no artifact's median moved by more than :data:`SETTLED_WITHIN` between windows."""
    return all(
        abs(late - early) <= SETTLED_WITHIN * early
        for early, late in zip(before, after, strict=True)
    )


def _run_for(infer: Infer, seconds: float, minimum: int, maximum: int, clock_ns: Clock) -> Series:
    samples: Series = []
    deadline = clock_ns() + round(seconds * 1e9)
    while len(samples) < maximum:
        start = clock_ns()
        infer()
        end = clock_ns()
        samples.append(end - start)
        if end >= deadline and len(samples) >= minimum:
            break
    return samples


def _interleave_for(
    order: Sequence[Infer],
    seconds: float,
    bounds: tuple[int, int],
    block: int,
    clock_ns: Clock,
) -> tuple[Series, ...]:
    minimum, maximum = bounds
    series: tuple[Series, ...] = tuple([] for _ in order)
    turns = [(infer, own) for infer, own in zip(order, series, strict=True)]
    deadline = clock_ns() + round(seconds * 1e9)
    while len(series[0]) < maximum:
        for infer, own in turns:
            for _ in range(block):
                start = clock_ns()
                infer()
                own.append(clock_ns() - start)
        if len(series[0]) >= minimum and clock_ns() >= deadline:
            break
    return series


@contextlib.contextmanager
def no_collections() -> Generator[None]:
    """Hold the garbage collector: a collection inside an inference would be timed with it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
