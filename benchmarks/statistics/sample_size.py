"""How many processes a decision still needs, from the interval of those there are. No I/O.

The estimate behaves like a normal one: its standard error, read off the half-width of its
interval, shrinks with the square root of the number of processes. Offered is the fewest
processes that decide with a chance of :data:`POWER`, should the estimate be the truth.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from statistics import NormalDist

from cnn_export.benchmarks.statistics.intervals import (
    DEFAULT_CONFIDENCE,
    MINIMUM_PROCESSES,
    Interval,
)

POWER = 0.8
"""The chance with which the estimated number of processes shall decide."""
REPEATS_IN_SIGHT = 1000
"""More processes than this are not offered: the difference is too close to the limit."""

_NORMAL = NormalDist()
_Chance = Callable[[float], float]
"""Standard error of the estimate → the chance to decide."""


def repeats_needed(
    interval: Interval,
    processes: int,
    limit: float,
    confidence: float = DEFAULT_CONFIDENCE,
    fewest: int = MINIMUM_PROCESSES,
) -> int | None:
    """Estimate how many processes let the interval of a median leave ``limit`` to one side.

    ``None`` if that is more than :data:`REPEATS_IN_SIGHT`; ``processes`` if the limit is left
    already. ``fewest`` have an interval of ``confidence``.
    """
    trusted = interval.confidence >= confidence
    if trusted and not interval.low <= limit <= interval.high:
        return processes
    least = processes + 1 if trusted else max(processes + 1, fewest)
    value = interval.value
    reach = value - interval.low if limit < value else interval.high - value
    width = _quantile(confidence)

    def leaves(error: float) -> float:
        return _NORMAL.cdf(abs(limit - value) / error - width)

    return _fewest(leaves, _single_error(reach, interval.confidence, processes), least)


def repeats_to_judge(
    difference: Interval,
    processes: float,
    minimum: float,
    confidence: float,
    alarm_level: float,
    fewest: tuple[int, int],
) -> int | None:
    """Estimate how many processes decide on a difference whose null is 0.

    From ``minimum`` on, either sign, it takes a p-value of ``alarm_level`` and an estimate that
    is ``minimum`` again; below, an interval of ``confidence`` within ``minimum`` on both sides.
    Each has its ``fewest`` processes, which are more than there are. ``None`` as for
    :func:`repeats_needed`.
    """
    effect = abs(difference.value)
    inside, alarm = _quantile(confidence), _quantile(1 - alarm_level)

    def alarms(error: float) -> float:
        return min(_NORMAL.cdf(effect / error - alarm), _NORMAL.cdf((effect - minimum) / error))

    def stays_inside(error: float) -> float:
        sides = ((minimum - effect) / error, (minimum + effect) / error)
        return sum(_NORMAL.cdf(side - inside) for side in sides) - 1

    reach = (difference.high - difference.low) / 2
    error = _single_error(reach, difference.confidence, processes)
    if effect >= minimum:
        return _fewest(alarms, error, fewest[0])
    return _fewest(stays_inside, error, fewest[1])


def _quantile(confidence: float) -> float:
    """Return how many standard errors an interval of ``confidence`` reaches to each side."""
    return _NORMAL.inv_cdf((1 + confidence) / 2)


def _single_error(reach: float, confidence: float, processes: float) -> float:
    """Return the standard error of an estimate from one process; 0 where nothing is known."""
    return reach * math.sqrt(processes) / _quantile(confidence) if confidence > 0 else 0.0


def _fewest(chance: _Chance, single_error: float, least: int) -> int | None:
    if single_error == 0:
        return least
    counts = range(least, REPEATS_IN_SIGHT + 1)
    place = bisect.bisect_left(
        counts, POWER, key=lambda count: chance(single_error / math.sqrt(count))
    )
    return counts[place] if place < len(counts) else None
