"""A few repeated measurements of the project's own speed: median, range, ratios, verdicts."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Literal

NS_PER_MS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Spread:
    """Median and range of a few repeated measurements."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Return median and range.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("a median needs at least one value")
    return Spread(statistics.median(values), min(values), max(values), len(values))


def paired_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """Divide pair by pair, then take the median: what slows both of a pair cancels.

    Raises:
        ValueError: no pairs, or sequences of different length.
    """
    return spread([a / b for a, b in zip(numerators, denominators, strict=True)])


Verdict = Literal["met", "missed", "undecided"]


def verdict(measured: Spread, limit: float) -> Verdict:
    """Judge against an upper limit: met or missed by every repeat, otherwise undecided."""
    if measured.high <= limit:
        return "met"
    return "missed" if measured.low > limit else "undecided"
