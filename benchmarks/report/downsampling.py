"""Less to draw than was measured, by rules that the page states. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from cnn_export.benchmarks.results.series import Nanoseconds

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Neighbouring inferences of one process: when they ended, and their middle 80 %."""

    until_s: float
    count: int
    low_ns: float
    median_ns: float
    high_ns: float


def every_kth(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most ``most`` items at even distances, the first among them."""
    step = -(-len(items) // most) if items else 1
    return items[::step]


def buckets(samples_ns: Nanoseconds, most: int, start_s: float = 0.0) -> list[Bucket]:
    """Cut one process into at most ``most`` parts of (nearly) equal numbers of inferences."""
    times_s = start_s + np.cumsum(samples_ns) / 1e9
    parts = np.array_split(np.arange(len(samples_ns)), min(most, len(samples_ns)))
    return [_bucket(samples_ns[part], float(times_s[part[-1]])) for part in parts]


def _bucket(samples_ns: Nanoseconds, until_s: float) -> Bucket:
    low, median, high = np.quantile(samples_ns, (0.1, 0.5, 0.9))
    return Bucket(until_s, len(samples_ns), float(low), float(median), float(high))
