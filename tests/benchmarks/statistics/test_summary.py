"""Summaries of processes, and how many more would decide a budget."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_series import PROCESSES

from cnn_export.benchmarks.statistics.summary import (
    Interval,
    repeats_needed,
    summarize,
)


@pytest.mark.parametrize(
    ("interval", "limit", "expected"),
    [
        (Interval(10, 9, 11, 0.97), 8.0, 12),  # decided already
        (Interval(10, 9, 11, 0.97), 10.0, None),  # on the limit
        (Interval(10, 9, 11, 0.97), 10.001, None),  # not in sight
        (Interval(10, 10, 10, 0.0), 8.0, 13),  # a single process says nothing
    ],
)
def test_repeats_at_the_edges(interval: Interval, limit: float, expected: int | None) -> None:
    assert repeats_needed(interval, 12, limit) == expected


def test_repeats_grow_with_the_square() -> None:
    interval = Interval(10, 9, 11, 0.95)
    near, far = (repeats_needed(interval, 20, 10 + distance) for distance in (0.4, 0.8))
    assert near is not None
    assert far is not None
    assert near == pytest.approx(4 * far, abs=4)
    assert far == pytest.approx(20 * (1 / 0.8) ** 2 * 2.0424, abs=1)


def test_summary_counts_and_keeps_outliers() -> None:
    calm = [98, 99, 100, 101, 102] * 20
    found = summarize([[*calm, 10_000], calm, [*calm, 1]])
    assert (found.outliers, found.processes, found.samples) == (2, 3, 302)
    assert found.p50.value == 100
    assert found.p90.value == 102
    assert found.p50.confidence == 0.75


def test_variation_is_split() -> None:
    """Processes at 5 %, inferences at 2 %: both are found; the share is nearly all between."""
    generator = np.random.default_rng(3)
    levels = 1e6 * (1 + generator.normal(0, 0.05, 200))
    repeats = [level * (1 + generator.normal(0, 0.02, 400)) for level in levels]
    variation = summarize(repeats).variation
    assert variation.within_ns == pytest.approx(2e4, rel=0.1)
    assert variation.between_ns == pytest.approx(5e4, rel=0.2)
    assert variation.between_share is not None
    assert variation.between_share > 0.98


def test_equal_processes_have_no_spread_of_their_own() -> None:
    generator = np.random.default_rng(3)
    repeats = [1e6 * (1 + generator.normal(0, 0.05, 64)) for _ in range(200)]
    variation = summarize(repeats).variation
    assert variation.between_share is not None
    assert variation.between_share < 0.4


def test_one_process_has_no_spread_between() -> None:
    variation = summarize([[1, 2, 3]]).variation
    assert (variation.between_ns, variation.between_share) == (None, None)


@settings(max_examples=40)
@given(PROCESSES, st.randoms(use_true_random=False))
def test_summaries_ignore_scale_and_order(processes: list[list[int]], random: Any) -> None:
    found = summarize(processes)
    shuffled = [[x * 4 for x in each] for each in processes]
    random.shuffle(shuffled)
    scaled = summarize(shuffled)
    assert scaled.p50 == found.p50.scaled(4)
    assert scaled.p90.value == pytest.approx(found.p90.value * 4)
    assert scaled.outliers == found.outliers
    assert scaled.variation.within_ns == pytest.approx(found.variation.within_ns * 4)
