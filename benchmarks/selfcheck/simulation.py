"""How often the statistics are right, on noise whose truth is known. No I/O."""

from __future__ import annotations

import dataclasses

import numpy as np

from cnn_export.benchmarks.selfcheck.noise import Run, Source, loading_orders
from cnn_export.benchmarks.statistics.comparison import (
    DEFAULT_PAIR_REPEATS,
    TOO_SMALL,
    Comparison,
    compare,
    compare_separate,
)
from cnn_export.benchmarks.statistics.intervals import Interval, median_interval

SLOWDOWN = 1.03
"""The true slowdown that must be found."""
PAIRS = 120
"""Pairs per process of a network of 4 ms in ``comparison.DEFAULT_PAIR_SECONDS``."""

FALSE_ALARMS_MAX = 0.01
POWER_MIN = 0.95
COVERAGE_MIN = 0.94
STRAY = 0.001


@dataclasses.dataclass(frozen=True)
class Rates:
    """Shares of ``trials`` simulated runs, 0 to 1.

    ``false_alarms``: a model against itself judged faster or slower. ``found``: the true
    slowdown judged slower. ``called_equal``: a model against itself judged to differ by less than
    counts. ``ratio_covered``, ``median_covered``: the interval of the ratio, and of the median of
    one artifact alone, holds the truth.
    """

    noise: str
    trials: int
    false_alarms: float
    found: float
    called_equal: float
    ratio_covered: float
    median_covered: float

    def broken_promises(self) -> list[str]:
        """Return one line per promise that does not hold.

        A share of few trials strays: a promise counts as broken when, were it just kept, so bad a
        count would come up less than once in a thousand times (:data:`STRAY`).
        """
        shares = (
            ("false alarms", self.false_alarms, FALSE_ALARMS_MAX, 1 - self.false_alarms),
            ("true slowdowns found", self.found, POWER_MIN, self.found),
            ("ratios covered", self.ratio_covered, COVERAGE_MIN, self.ratio_covered),
            ("medians covered", self.median_covered, COVERAGE_MIN, self.median_covered),
        )
        return [
            f"{share:.1%} {what} (limit {limit:.0%})"
            for what, share, limit, good in shares
            if _strays(round(good * self.trials), self.trials, max(limit, 1 - limit))
        ]


def _strays(good: int, trials: int, promised: float) -> bool:
    from scipy.special import bdtr

    return float(bdtr(good, trials, promised)) < STRAY


def simulate(
    noise: str,
    source: Source,
    trials: int,
    seed: int,
    *,
    processes: int = DEFAULT_PAIR_REPEATS,
    pairs: int = PAIRS,
    separate: bool = False,
) -> Rates:
    """Run the default comparison ``trials`` times on runs drawn from ``source``.

    ``separate`` takes base and new from different processes instead: the even and the odd ones.
    """
    generator = np.random.default_rng(seed)
    outcomes = np.array(
        [
            _outcome(source(generator, processes * (1 + separate), pairs), separate)
            for _ in range(trials)
        ]
    )
    return Rates(noise, trials, *(float(share) for share in outcomes.mean(axis=0)))


def _outcome(run: Run, separate: bool) -> tuple[bool, bool, bool, bool, bool]:
    same, slowed = _compared(run, separate), _compared(run.slowed(SLOWDOWN), separate)
    alone = median_interval(np.median(run.base_ns, axis=1))
    return (
        same.verdict in ("faster", "slower"),
        slowed.verdict == "slower",
        same.verdict in TOO_SMALL,
        _holds(same.ratio, 1.0),
        _holds(alone, run.center_ns),
    )


def _compared(run: Run, separate: bool) -> Comparison:
    if separate:
        return compare_separate(list(run.base_ns[::2]), list(run.new_ns[1::2]))
    orders = loading_orders(len(run.base_ns))
    return compare(list(zip(run.base_ns, run.new_ns, strict=True)), orders)


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high
