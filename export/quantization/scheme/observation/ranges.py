"""Ranges from statistics: the ends, all but the outermost values, or the smallest error."""

from __future__ import annotations

import dataclasses
import math

import torch

from cnn_export.quantization.insertion.clips import Bounds
from cnn_export.quantization.scheme.observation.statistics import BINS, TensorStatistics
from cnn_export.quantization.scheme.options import SchemeOptions

_STEPS = 255
_SHRINKS = 80
_SMALLEST_SHARE = 0.05
"""The error is measured for ranges down to this share of the ends."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Real values from ``low`` (at most 0) to ``high`` (at least 0) that int8 should reach.

    ``reaches_low`` and ``reaches_high``: values beyond that end are clipped there because no reader
    tells them apart, so the integers must reach it.
    """

    low: float
    high: float
    reaches_low: bool = False
    reaches_high: bool = False

    def union(self, other: Range) -> Range:
        """Return the smallest range that holds both."""
        lower = min((self.low, not self.reaches_low), (other.low, not other.reaches_low))
        upper = max((self.high, self.reaches_high), (other.high, other.reaches_high))
        return Range(lower[0], upper[0], not lower[1], upper[1])


def choose_range(seen: TensorStatistics, readers: Bounds, options: SchemeOptions) -> Range:
    """Return the range for a tensor of which readers tell apart what lies in ``readers``.

    It holds 0, so that zero padding and clips at 0 are exact.
    """
    clipped = _clipped(seen, readers)
    low, high = _ends(clipped, options)
    low, high = min(low, 0.0), max(high, 0.0)
    reaches_low = seen.low < readers.low and low <= readers.low
    reaches_high = seen.high > readers.high and high >= readers.high
    return Range(low, high, reaches_low, reaches_high)


def _clipped(seen: TensorStatistics, bounds: Bounds) -> TensorStatistics:
    """Return statistics of the values after a clip at ``bounds``."""
    low, high = (min(max(end, bounds.low), bounds.high) for end in (seen.low, seen.high))
    if (low, high) == (seen.low, seen.high):
        return seen
    counts = torch.zeros(BINS, dtype=torch.int64)
    if low < high:
        width = (high - low) / BINS
        places = ((seen.centers - low) / width).floor().clamp(0, BINS - 1).long()
        counts.index_add_(0, places, seen.counts)
    else:
        counts[0] = seen.counts.sum()
    return TensorStatistics(low, high, counts)


def _ends(seen: TensorStatistics, options: SchemeOptions) -> tuple[float, float]:
    if options.ranges == "minmax" or seen.low == seen.high:
        return seen.low, seen.high
    if options.ranges == "percentile":
        return _percentile(seen, options.percentile)
    return _least_error(seen)


def _percentile(seen: TensorStatistics, percentile: float) -> tuple[float, float]:
    """Cut off whole bins at both ends, each with at most half of what may lie outside."""
    room = float(seen.counts.sum()) * (100 - percentile) / 200
    width = (seen.high - seen.low) / BINS
    below = int((seen.counts.cumsum(0) <= room).sum())
    above = int((seen.counts.flip(0).cumsum(0) <= room).sum())
    return seen.low + width * below, seen.high - width * above


def _least_error(seen: TensorStatistics) -> tuple[float, float]:
    """Return the range with the smallest mean square error of round and clip.

    Either end is drawn in by itself or both alike; the first of equal ones is the widest. Source:
    Krishnamoorthi (arXiv 1806.08342) and Nagel et al. (arXiv 2106.08295), section 3.1.
    """
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    shares = torch.linspace(1.0, _SMALLEST_SHARE, _SHRINKS, dtype=torch.float64)
    lows = torch.cat([shares * low, shares * low, torch.full_like(shares, low)])
    highs = torch.cat([shares * high, torch.full_like(shares, high), shares * high])
    best = int(_errors(seen, lows, highs).argmin())
    return float(lows[best]), float(highs[best])


def _errors(seen: TensorStatistics, lows: torch.Tensor, highs: torch.Tensor) -> torch.Tensor:
    """Return the mean square error of each candidate; both (candidates,)."""
    filled = seen.counts.nonzero().flatten()
    values, weights = seen.centers[filled], seen.counts[filled].double()
    steps = ((highs - lows) / _STEPS).clamp(min=math.ulp(0.0))[:, None]
    offsets = (lows[:, None] / steps).round()
    quantized = (values / steps).round().clamp(offsets, offsets + _STEPS) * steps
    return ((quantized - values).square() * weights).sum(1)
