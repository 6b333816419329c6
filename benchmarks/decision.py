"""How many processes a decision still needs, from the interval of those there are. No I/O."""

from __future__ import annotations

import math
from statistics import NormalDist

from cnn_export.benchmarks.intervals import DEFAULT_CONFIDENCE, MINIMUM_PROCESSES, Interval

POWER = 0.8
"""The chance with which the estimated number of processes shall decide."""
REPEATS_IN_SIGHT = 1000
"""More processes than this are not offered: the difference is too close to the limit."""


def repeats_needed(
    interval: Interval, processes: int, limit: float, confidence: float = DEFAULT_CONFIDENCE
) -> int | None:
    """Estimate how many processes let the interval of a median leave ``limit`` to one side.

    The half-width ``h`` of an interval of a median shrinks with the square root of the number of
    processes ``n``. The interval leaves the limit, at distance ``d`` from the estimate, with
    probability :data:`POWER` at ``n·(h/d)²·(1 + z_power/z_confidence)²`` processes. An interval
    of less confidence than asked for is widened in proportion to the normal quantiles. ``None``
    if that is more than :data:`REPEATS_IN_SIGHT`; ``processes`` if the limit is left already.
    """
    trusted = interval.confidence >= confidence
    if trusted and not interval.low <= limit <= interval.high:
        return processes
    least = processes + 1 if trusted else max(processes + 1, MINIMUM_PROCESSES)
    if interval.confidence <= 0:
        return least
    distance = abs(limit - interval.value)
    reach = (
        interval.value - interval.low if limit < interval.value else interval.high - interval.value
    )
    if reach * math.sqrt(processes) == 0:
        return least
    if distance == 0:
        return None
    normal = NormalDist()
    asked = normal.inv_cdf((1 + confidence) / 2)
    had = normal.inv_cdf((1 + min(interval.confidence, confidence)) / 2)
    factor = reach / distance * (asked + normal.inv_cdf(POWER)) / had
    needed = max(least, math.ceil(processes * factor**2))
    return needed if needed <= REPEATS_IN_SIGHT else None
