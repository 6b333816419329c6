"""Distribution-free intervals of a median from few values, one per process.

Order statistics: of ``n`` independent values, the number below the true median is
Binomial(n, 1/2), whatever the distribution; the ``k``-th smallest and ``k``-th largest value
enclose it with probability ``1 − 2·P(Binomial(n, 1/2) < k)`` (David and Nagaraja, *Order
Statistics*, 3rd ed., section 7.1). Values from different distributions, as under a drift, only
raise that probability for the median of their mixture (Hoeffding 1956). No I/O.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Values = Sequence[float] | npt.NDArray[Any]
Samples = Sequence[float] | npt.NDArray[Any]
"""Nanoseconds of the inferences of one process, in their order."""

DEFAULT_CONFIDENCE = 0.95
MINIMUM_PROCESSES = 6
"""The fewest values whose range encloses the median with 95 %: 96.9 %; with five it is 93.75 %."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it.

    ``confidence`` is what the interval truly has: at least what was asked for, or, with too few
    values for that, the lower one of the widest interval there is (0 for a single value).
    """

    value: float
    low: float
    high: float
    confidence: float

    def scaled(self, factor: float) -> Interval:
        """Return the interval in another unit; ``factor`` is positive."""
        return Interval(self.value * factor, self.low * factor, self.high * factor, self.confidence)


def median_interval(process_medians: Values, confidence: float = DEFAULT_CONFIDENCE) -> Interval:
    """Return the median of one value per process, with its exact order-statistic interval.

    Below :data:`MINIMUM_PROCESSES` values (at 95 %) no interval has the confidence asked for;
    the result is then the range, and says its true confidence.

    Raises:
        ValueError: no values, one that is not finite, or a confidence outside (0, 1).
    """
    values = np.sort(checked_values(process_medians))
    rank, true_confidence = _order_rank(len(values), checked_confidence(confidence))
    return Interval(
        float(np.median(values)), float(values[rank]), float(values[-1 - rank]), true_confidence
    )


def quantile_interval(
    repeats: Sequence[Samples], quantile: float, confidence: float = DEFAULT_CONFIDENCE
) -> Interval:
    """Return the median over processes of each process's ``quantile`` (0.9 for p90).

    Raises:
        ValueError: as :func:`median_interval`; no process, or one without samples.
    """
    return median_interval(process_quantiles(repeats, quantile), confidence)


def process_quantiles(repeats: Sequence[Samples], quantile: float) -> FloatArray:
    """Return the quantile of each process, ns, shape ``(processes,)``, interpolated linearly.

    Raises:
        ValueError: no process, one without samples, or a quantile outside [0, 1].
    """
    if not repeats or not all(len(samples) for samples in repeats):
        raise ValueError("every process needs at least one sample")
    return np.array([np.quantile(np.asarray(samples), quantile) for samples in repeats])


def checked_values(values: Values) -> FloatArray:
    """Return the values as float64.

    Raises:
        ValueError: there are none, or one is not finite.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError("an interval needs at least one value")
    if not np.isfinite(array).all():
        raise ValueError("an interval needs finite values")
    return array


def checked_confidence(confidence: float) -> float:
    """Return it.

    Raises:
        ValueError: it is outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence is between 0 and 1, not {confidence}")
    return confidence


def _order_rank(count: int, confidence: float) -> tuple[int, float]:
    """Return the largest 0-based rank whose symmetric interval suffices, and its confidence."""
    total = 2**count
    rank, term, tail = 0, 1, 1  # whole numbers of Binomial(count, 1/2), so nothing underflows
    while True:
        term = term * (count - rank) // (rank + 1)
        if 2 * (tail + term) / total > 1 - confidence:
            return rank, max(0.0, 1 - 2 * tail / total)
        rank, tail = rank + 1, tail + term
