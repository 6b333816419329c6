"""Intervals and tests on ranks, against SciPy and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_export.benchmarks.statistics.intervals import (
    MINIMUM_PROCESSES,
    Interval,
    median_interval,
    process_quantiles,
    quantile_interval,
)
from cnn_export.benchmarks.statistics.rank_sum import (
    rank_sum_counts,
    rank_sum_p_value,
    rank_sum_tails,
    shift_interval,
)

TIMES = st.lists(st.integers(1, 10**9), min_size=1, max_size=40)


@pytest.mark.parametrize("count", [6, 7, 9, 10, 20, 25, 40, 101])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_rank_and_confidence_are_binomial(count: int, confidence: float) -> None:
    found = median_interval(range(count), confidence)
    rank = int(found.low)
    assert found.high == count - 1 - rank
    coverage = 1 - 2 * scipy.stats.binom.cdf(rank, count, 0.5)
    assert found.confidence == pytest.approx(max(coverage, 0), abs=1e-12)
    narrower = 1 - 2 * scipy.stats.binom.cdf(rank + 1, count, 0.5)
    assert narrower < confidence
    assert coverage >= confidence or rank == 0


def test_published_ranks() -> None:
    """Table of ranks for 95 % (Conover, Practical Nonparametric Statistics): n=10: 2nd and 9th."""
    assert median_interval(range(1, 11)) == Interval(5.5, 2, 9, 1 - 22 / 1024)
    assert median_interval(range(1, 26)).low == 8


@pytest.mark.parametrize(("count", "confidence"), [(1, 0.0), (2, 0.5), (5, 0.9375)])
def test_few_processes_say_their_true_confidence(count: int, confidence: float) -> None:
    values = [3.0 + i for i in range(count)]
    found = median_interval(values)
    assert count < MINIMUM_PROCESSES
    assert (found.low, found.high, found.confidence) == (3.0, 2.0 + count, confidence)


@pytest.mark.parametrize("values", [[], [math.nan, 1.0], [math.inf]])
def test_no_interval_of_nothing_or_of_no_numbers(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"at least one|finite"):
        median_interval(values)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        median_interval([1.0], confidence)


@pytest.mark.parametrize("repeats", [[], [[]], [[1], []]])
def test_quantiles_need_samples(repeats: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        process_quantiles(repeats, 0.9)


def test_quantile_of_each_process_not_of_the_pool() -> None:
    repeats = [[10] * 1000, list(range(1, 12)), [40]]
    assert process_quantiles(repeats, 0.9).tolist() == [10.0, 10.0, 40.0]
    assert quantile_interval(repeats, 0.9).value == 10.0


@settings(max_examples=60)
@given(TIMES, st.randoms(use_true_random=False), st.sampled_from([2.0**-3, 4.0, 2.0**20]))
def test_scale_and_order_do_not_matter(times: list[int], random: object, scale: float) -> None:
    shuffled = list(times)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = median_interval(times)
    assert median_interval(shuffled) == found
    assert median_interval([t * scale for t in times]) == found.scaled(scale)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 5), (4, 3), (6, 6)])
def test_deals_are_enumerated(first: int, second: int) -> None:
    counts = [0] * (first * second + 1)
    for chosen in itertools.combinations(range(first + second), first):
        counts[sum(chosen) - first * (first - 1) // 2] += 1
    assert rank_sum_counts(first, second) == counts


SIZES = [*itertools.product(range(1, 13), repeat=2), (32, 32), (1, 60), (100, 100)]


@pytest.mark.parametrize(("first", "second"), SIZES)
def test_deals_are_all_there_and_mirror_one_another(first: int, second: int) -> None:
    """Every U has as many deals as its mirror, and together they are C(n + m, n)."""
    counts = rank_sum_counts(first, second)
    assert len(counts) == first * second + 1
    assert sum(counts) == math.comb(first + second, first)
    assert counts == counts[::-1] == rank_sum_counts(second, first)
    assert counts[0] == 1
    assert min(counts) >= (0 if first * second else 1)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (3, 7), (16, 16), (100, 100)])
def test_tails_are_the_exact_shares_of_deals(first: int, second: int) -> None:
    """P(U ≤ u) by whole numbers; what is at most u and what is above are all deals."""
    tails = rank_sum_tails(first, second)
    counts, total = rank_sum_counts(first, second), math.comb(first + second, first)
    shares = [
        sum(counts[: u + 1]) / total for u in range(0, len(counts), max(1, len(counts) // 50))
    ]
    assert list(tails[:: max(1, len(counts) // 50)]) == shares
    assert tails[-1] == 1
    assert tails[:-1] + tails[:-1][::-1] == pytest.approx(1)
    with pytest.raises(ValueError, match="read-only"):
        tails[0] = 0


@pytest.mark.parametrize("sizes", [(5, 7), (10, 10), (25, 3)])
def test_rank_sums_agree_with_mann_whitney(sizes: tuple[int, int]) -> None:
    generator = np.random.default_rng(sum(sizes))
    base, new = (generator.normal(0.3 * i, 1, n) for i, n in enumerate(sizes))
    expected = scipy.stats.mannwhitneyu(base, new, method="exact").pvalue
    assert rank_sum_p_value(base, new) == pytest.approx(expected, rel=1e-9)


def test_ties_count_half_and_round_inwards() -> None:
    """Of four differences two are above, one is a tie: U = 3.5, as good as 3 of 4; 2 · 2/6."""
    assert rank_sum_p_value(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == pytest.approx(4 / 6)


def test_many_processes_use_the_normal_tail() -> None:
    """Counting ends here; the normal tail must agree with it."""
    exact = np.cumsum(rank_sum_counts(100, 101)).astype(float) / math.comb(201, 100)
    assert np.abs(rank_sum_tails(100, 101) - exact).max() < 5e-4


def test_shift_interval_is_dual_to_the_rank_sum_test() -> None:
    """Every shift inside is not rejected at 5 %, every shift outside is."""
    generator = np.random.default_rng(5)
    base, new = generator.normal(0, 1, 9), generator.normal(2, 1, 8)
    found = shift_interval(base, new, 0.95)
    for shift in np.linspace(0, 4, 401):
        p_value = scipy.stats.mannwhitneyu(base, new - shift, method="exact").pvalue
        assert (p_value > 0.05) == (found.low < shift < found.high)
    assert found.confidence >= 0.95
    assert found.value == np.median(np.subtract.outer(new, base))


def test_too_few_for_a_shift_say_so() -> None:
    found = shift_interval(np.arange(3.0), np.arange(3.0), 0.95)
    assert (found.low, found.high) == (-2, 2)
    assert found.confidence == pytest.approx(0.9)
