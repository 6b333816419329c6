"""Statistics of raw times. The statistical unit is the process, not the inference. No I/O.

The parts are in :mod:`.intervals` (median and quantiles with exact
intervals), :mod:`.comparison` (ratio, test, verdict) and
:mod:`.sample_size` (how many processes would decide); this module holds the
summary of one artifact, and offers all of them under one name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from cnn_export.benchmarks.statistics.comparison import (
    DEFAULT_MINIMUM_EFFECT,
    DEFAULT_PAIR_REPEATS,
    DEFAULT_PAIR_SECONDS,
    Comparison,
    Verdict,
    compare,
    compare_separate,
    pair_block,
)
from cnn_export.benchmarks.statistics.intervals import (
    DEFAULT_CONFIDENCE,
    MINIMUM_PROCESSES,
    FloatArray,
    Interval,
    Samples,
    median_interval,
    process_quantiles,
    quantile_interval,
)
from cnn_export.benchmarks.statistics.sample_size import repeats_needed

__all__ = [
    "DEFAULT_CONFIDENCE",
    "DEFAULT_MINIMUM_EFFECT",
    "DEFAULT_PAIR_REPEATS",
    "DEFAULT_PAIR_SECONDS",
    "MINIMUM_PROCESSES",
    "Comparison",
    "Interval",
    "Samples",
    "Summary",
    "Variation",
    "Verdict",
    "compare",
    "compare_separate",
    "median_interval",
    "pair_block",
    "quantile_interval",
    "repeats_needed",
    "summarize",
]

_MAD_TO_SIGMA = 1.4826
"""The median absolute deviation of a normal distribution, times this, is its sigma."""
_FENCE = 3.0
"""Tukey's "far out": this many interquartile ranges beyond the quartiles (1977, section 2D)."""
_BLOCKS = 8
"""Contiguous parts of a process whose medians say how well its own median is known."""


@dataclasses.dataclass(frozen=True)
class Variation:
    """Where times vary, as standard deviations in ns, robust against outliers.

    ``within_ns`` is of single inferences around the median of their process, ``between_ns`` of
    processes around one another, beyond what their own sampling explains. ``between_share`` is
    the part of the variance of the process medians that comes from the processes, 0 to 1: near
    1, longer processes do not help, more of them do. The last two are ``None`` for one process.
    """

    within_ns: float
    between_ns: float | None
    between_share: float | None


@dataclasses.dataclass(frozen=True)
class Summary:
    """Times of one artifact in ns; ``p50`` and ``p90`` are medians over processes.

    ``outliers`` counts inferences beyond Tukey's far fences of their own process, above and
    below; they are part of every figure.
    """

    p50: Interval
    p90: Interval
    variation: Variation
    outliers: int
    processes: int
    samples: int


def summarize(repeats: Sequence[Samples], confidence: float = DEFAULT_CONFIDENCE) -> Summary:
    """Summarize nanoseconds of every inference, one sequence per process.

    Raises:
        ValueError: no process, or one without samples.
    """
    quartiles = [process_quantiles(repeats, quantile) for quantile in (0.25, 0.5, 0.75, 0.9)]
    arrays = [np.asarray(samples) for samples in repeats]
    return Summary(
        p50=median_interval(quartiles[1], confidence),
        p90=median_interval(quartiles[3], confidence),
        variation=_variation(arrays, quartiles[1]),
        outliers=sum(map(_outliers, arrays, quartiles[0], quartiles[2])),
        processes=len(repeats),
        samples=sum(map(len, repeats)),
    )


def _outliers(samples: FloatArray, low_quartile: float, high_quartile: float) -> int:
    reach = _FENCE * (high_quartile - low_quartile)
    beyond = (samples < low_quartile - reach) | (samples > high_quartile + reach)
    return int(np.count_nonzero(beyond))


def _variation(arrays: Sequence[FloatArray], medians: FloatArray) -> Variation:
    """Split the variance of the process medians (random effects, one way).

    Var(median) = between² + sampling²; the sampling part comes from the medians of contiguous
    blocks, which keep the correlation of neighbouring inferences.
    """
    within = float(np.median([_robust_sigma(samples) for samples in arrays]))
    if len(arrays) == 1:
        return Variation(within, None, None)
    total = _robust_sigma(medians) ** 2
    sampling = float(np.median([_sampling_variance(samples) for samples in arrays]))
    between = max(0.0, total - sampling)
    return Variation(within, between**0.5, between / total if total else 0.0)


def _sampling_variance(samples: FloatArray) -> float:
    blocks = np.array_split(samples, min(_BLOCKS, len(samples)))
    medians = np.array([np.median(block) for block in blocks])
    return float(np.var(medians, ddof=1)) / len(blocks) if len(blocks) > 1 else 0.0


def _robust_sigma(values: FloatArray) -> float:
    return _MAD_TO_SIGMA * float(np.median(np.abs(values - np.median(values))))
