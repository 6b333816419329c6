"""Summaries and orders: no process, no runtime."""

from __future__ import annotations

import pytest

from cnn_export.benchmarks.run.plan import interleaved
from cnn_export.benchmarks.studies.summary import Spread, paired_ratio, verdict


def test_ratios_are_taken_pair_by_pair() -> None:
    ratio = paired_ratio([2.0, 30.0, 3.0], [1.0, 10.0, 2.0])
    assert (ratio.median, ratio.low, ratio.high, ratio.count) == (2.0, 1.5, 3.0, 3)


@pytest.mark.parametrize("b", [[], [1.0, 2.0]])
def test_pairs_must_pair(b: list[float]) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer|at least"):
        paired_ratio(b[:1], b)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.9, 1.15, "met"), (1.16, 1.3, "missed"), (1.0, 1.2, "undecided"), (1.15, 1.2, "undecided")],
)
def test_a_limit_is_met_or_missed_by_all(low: float, high: float, expected: str) -> None:
    assert verdict(Spread(median=low, low=low, high=high, count=3), 1.15) == expected


def test_rounds_hold_each_item_once_in_changing_order() -> None:
    order = interleaved("abcd", 6, seed=1)
    rounds = [tuple(order[i : i + 4]) for i in range(0, 24, 4)]
    assert all(sorted(each) == list("abcd") for each in rounds)
    assert len(set(rounds)) > 1
    assert order == interleaved("abcd", 6, seed=1)
    assert order != interleaved("abcd", 6, seed=2)
