"""Arithmetic on raw times. The statistical unit is the process, not the inference."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

NS_PER_MS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Summary:
    """Median over processes of each process's median, and the range of those medians."""

    median_ns: float
    low_ns: float
    high_ns: float
    process_medians_ns: tuple[float, ...]
    inferences: int


def summarize(processes: Sequence[Sequence[int]]) -> Summary:
    """Summarize the nanoseconds of every inference, one sequence per process.

    Raises:
        ValueError: no processes, or one without samples.
    """
    if not processes or not all(processes):
        raise ValueError("every process needs at least one sample")
    medians = [float(statistics.median(samples)) for samples in processes]
    return Summary(
        median_ns=statistics.median(medians),
        low_ns=min(medians),
        high_ns=max(medians),
        process_medians_ns=tuple(medians),
        inferences=sum(map(len, processes)),
    )


@dataclasses.dataclass(frozen=True)
class RatioSummary:
    """Median of the ratios of pairs measured side by side, and their range."""

    median: float
    low: float
    high: float
    pairs: int


def paired_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> RatioSummary:
    """Divide pair by pair, then summarize: what slows both of a pair cancels.

    Raises:
        ValueError: no pairs, or sequences of different length.
    """
    ratios = [a / b for a, b in zip(numerators, denominators, strict=True)]
    if not ratios:
        raise ValueError("a ratio needs at least one pair")
    return RatioSummary(statistics.median(ratios), min(ratios), max(ratios), len(ratios))
