"""An exact permutation test, one value per process, and the interval dual to it.

Rank sums of two groups (Mann and Whitney 1947): under no effect all ways to deal the values to the
groups are equally likely; they are counted in whole numbers. SciPy has the test, but neither its
distribution, which the interval needs, nor ties that round inwards; the tests compare. No I/O.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from cnn_export.benchmarks.statistics.intervals import FloatArray, Interval, checked_confidence

EXACT_PAIRS = 10_000
"""Up to this product of group sizes U is counted; beyond it, a normal distribution serves."""


def rank_sum_p_value(base: FloatArray, new: FloatArray) -> float:
    """Return the two-sided p-value of Mann and Whitney's U; ties count half and round inwards."""
    difference = np.subtract.outer(new, base)
    wins = float((difference > 0).sum() + 0.5 * (difference == 0).sum())
    nearer_end = math.ceil(min(wins, difference.size - wins))
    return min(1.0, 2 * float(rank_sum_tails(base.size, new.size)[nearer_end]))


def shift_interval(base: FloatArray, new: FloatArray, confidence: float) -> Interval:
    """Return Hodges and Lehmann's shift from ``base`` to ``new`` with its interval (Moses).

    The median of all differences; the interval ends at those differences that the rank sum test
    just does not reject. With too few values it is the range of the differences, and says its
    true confidence.
    """
    differences = np.sort(np.subtract.outer(new, base), axis=None)
    tails = rank_sum_tails(base.size, new.size)
    allowed = (1 - checked_confidence(confidence)) / 2
    rank = max(0, int(np.searchsorted(tails, allowed, side="right")) - 1)
    true_confidence = max(0.0, 1 - 2 * float(tails[rank]))
    low, high = float(differences[rank]), float(differences[-1 - rank])
    return Interval(float(np.median(differences)), low, high, true_confidence)


@functools.cache
def rank_sum_tails(first: int, second: int) -> FloatArray:
    """Return P(U ≤ u) for u = 0 … first·second, when every deal is equally likely.

    Exact up to :data:`EXACT_PAIRS`, then normal with continuity correction. Read-only.
    """
    if first * second <= EXACT_PAIRS:
        counts = rank_sum_counts(first, second)
        total = math.comb(first + second, first)
        return _constant([below / total for below in itertools.accumulate(counts)])
    variance = first * second * (first + second + 1) / 12
    normal = NormalDist(first * second / 2, math.sqrt(variance))
    return _constant([normal.cdf(u + 0.5) for u in range(first * second + 1)])


def _constant(values: Sequence[float]) -> FloatArray:
    array = np.array(values)
    array.setflags(write=False)
    return array


def rank_sum_counts(first: int, second: int) -> list[int]:
    """Return how many of the C(first + second, first) deals give each U, U = 0 … first·second.

    The coefficients of the Gaussian binomial: multiply by (1 − qˢ⁺ⁱ), divide by (1 − qⁱ), for
    i = 1 … first.
    """
    top = first * second
    counts = [1] + [0] * top
    for index in range(1, first + 1):
        for power in range(top, second + index - 1, -1):
            counts[power] -= counts[power - second - index]
        for power in range(index, top + 1):
            counts[power] += counts[power - index]
    return counts
