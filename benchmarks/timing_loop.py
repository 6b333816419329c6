"""Time single inferences one by one, and keep every one of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

WARM_UP_INFERENCES = 5
WARM_UP_SHARE = 0.2
"""Warm-up lasts this share of the measuring time, so that clocks and caches have settled."""
MINIMUM_SAMPLES = 10
MAXIMUM_SAMPLES = 100_000
"""Bounds memory and the report of a network that takes microseconds."""

Clock = Callable[[], int]


def timed_inferences(
    infer: Callable[[], None], min_time_s: float, clock_ns: Clock = time.perf_counter_ns
) -> list[int]:
    """Warm up, then run for at least ``min_time_s``; return nanoseconds of each inference."""
    enabled = gc.isenabled()
    gc.disable()  # a collection inside an inference would be timed with it
    try:
        _run_for(infer, WARM_UP_SHARE * min_time_s, WARM_UP_INFERENCES, clock_ns)
        return _run_for(infer, min_time_s, MINIMUM_SAMPLES, clock_ns)
    finally:
        if enabled:
            gc.enable()


def _run_for(infer: Callable[[], None], seconds: float, minimum: int, clock_ns: Clock) -> list[int]:
    samples: list[int] = []
    deadline = clock_ns() + round(seconds * 1e9)
    while len(samples) < MAXIMUM_SAMPLES:
        start = clock_ns()
        infer()
        end = clock_ns()
        samples.append(end - start)
        if end >= deadline and len(samples) >= minimum:
            break
    return samples
