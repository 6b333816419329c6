"""Series under their numbers on the page, which tables and charts refer to. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import count

from cnn_export.benchmarks.results.record_types import Run
from cnn_export.benchmarks.results.series import PairedSeries, Results, Series


@dataclasses.dataclass(frozen=True)
class Numbered:
    """A series and its number, from 1."""

    number: int
    series: Series

    @property
    def name(self) -> str:
        """The artifact's."""
        return self.series.artifact.name

    @property
    def threads(self) -> str:
        """``1 thread`` or ``4 threads``."""
        threads = self.series.setting.threads
        return "1 thread" if threads == 1 else f"{threads} threads"


@dataclasses.dataclass(frozen=True)
class NumberedPair:
    """Paired series and the numbers of both sides."""

    paired: PairedSeries
    base: Numbered
    new: Numbered


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the page shows of a results file; sides of pairs are numbered behind the series."""

    runs: Sequence[Run]
    series: tuple[Numbered, ...]
    pairs: tuple[NumberedPair, ...]
    several_devices: bool


def numbered(results: Results) -> Shown:
    """Number what was timed."""
    numbers = count(1)
    series = tuple(Numbered(next(numbers), each) for each in results.timed)
    pairs = tuple(
        NumberedPair(each, Numbered(next(numbers), each.base), Numbered(next(numbers), each.new))
        for each in results.pairs
    )
    return Shown(results.runs, series, pairs, results.several_devices)
