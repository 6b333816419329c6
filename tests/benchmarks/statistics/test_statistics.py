"""Comparisons and verdicts, on times whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from random_series import PROCESSES

from cnn_export.benchmarks.statistics.comparison import (  # pyright: ignore[reportPrivateUsage]
    _with_repeats,
    process_ratio,
    verdict_of,
)
from cnn_export.benchmarks.statistics.summary import (
    DEFAULT_PAIR_REPEATS,
    Comparison,
    Interval,
    compare,
    compare_separate,
    pair_block,
)

MIRROR = {"faster": "slower", "slower": "faster"}


def _noisy(processes: int, factor: float, spread: float, seed: int = 0) -> list[tuple[Any, Any]]:
    """Pairs whose true ratio is ``factor``; processes differ by 20 %, ratios by ``spread``."""
    generator = np.random.default_rng(seed)
    pairs = []
    for _ in range(processes):
        base = 4e6 * math.exp(generator.normal(0, 0.2)) * np.exp(generator.normal(0, 0.02, 80))
        ratio = factor * math.exp(generator.normal(0, spread))
        pairs.append((base, base * ratio * np.exp(generator.normal(0, 0.02, 80))))
    return pairs


def _compare(pairs: Sequence[tuple[Any, Any]], **given: Any) -> Comparison:
    """Compare as a run does: every other process loads the new one first."""
    return compare(pairs, [index % 2 == 1 for index in range(len(pairs))], **given)


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1.05, "slower"), (0.95, "faster"), (1.0, "no difference shown"), (1.005, "slightly slower")],
)
def test_verdicts_of_true_ratios(factor: float, verdict: str) -> None:
    found = _compare(_noisy(DEFAULT_PAIR_REPEATS, factor, 0.01, seed=4))
    assert found.ratio.value == pytest.approx(factor, rel=0.01)
    assert found.verdict == verdict
    assert found.ratio.low < factor < found.ratio.high
    assert found.repeats_needed is None


def test_a_change_below_the_minimum_is_no_alarm() -> None:
    """Significant without doubt, and yet not slower: 1 % is below the minimum effect of 2 %."""
    found = _compare(_noisy(40, 1.01, 0.001))
    assert found.p_value < 1e-6
    assert found.ratio.low > 1
    assert found.verdict == "slightly slower"
    assert _compare(_noisy(40, 1.01, 0.001), minimum_effect=0.005).verdict == "slower"


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_few_processes_never_decide(processes: int) -> None:
    found = _compare(_noisy(processes, 2.0, 0.001))
    assert found.verdict == "undecided"
    assert found.ratio.confidence < 0.95
    assert found.repeats_needed is not None
    assert found.repeats_needed >= 8


@pytest.mark.parametrize("processes", [1, 7, 30])
@pytest.mark.parametrize("swapped", [False, True])
def test_one_order_decides_nothing(processes: int, swapped: bool) -> None:
    """However sure it looks: what is loaded last may have done it."""
    found = compare(_noisy(processes, 1.5, 0.001), [swapped] * processes)
    assert (found.verdict, found.p_value, found.ratio.confidence) == ("undecided", 1.0, 0.0)
    assert found.ratio.low <= 1.5 * 1.01
    assert found.ratio.high >= 1.5 * 0.99
    assert found.repeats_needed == {1: 10, 7: 10, 30: 32}[processes]


@pytest.mark.parametrize("orders", [(9, 1), (1, 9), (25, 1), (12, 3)])
def test_unequal_orders_are_offered_more_than_there_are(orders: tuple[int, int]) -> None:
    swapped = [False] * orders[0] + [True] * orders[1]
    found = compare(_noisy(sum(orders), 1.03, 0.08, seed=1), swapped)
    assert found.verdict == "undecided"
    assert found.repeats_needed is not None
    assert found.repeats_needed > sum(orders)


def test_unequal_orders_are_offered_what_equal_ones_of_their_error_are() -> None:
    """24 + 8 err like 12 + 12: the same interval has the same number of processes to come."""
    interval = Interval(1.03, 0.98, 1.08, 0.95)
    found = Comparison(interval, "undecided", 0.2, 0.02, 0.95, (32, 32))
    unequal, equal = (_with_repeats(found, groups, 2) for groups in ((24, 8), (12, 12)))
    assert unequal.repeats_needed == equal.repeats_needed
    assert (equal.repeats_needed or 0) > 32


@pytest.mark.parametrize(
    ("times_ns", "block"),
    [((40e3, 4e6), 125), ((4e6, 40e3), 125), ((4e6, 4e6), 2), ((5e6, 9e9), 1), ((0, 1), 5_000_000)],
)
def test_turns_last_five_milliseconds(times_ns: tuple[float, float], block: int) -> None:
    assert pair_block(*times_ns) == block


def test_undecided_offers_repeats_that_decide() -> None:
    found = _compare(_noisy(8, 1.03, 0.03, seed=1))
    assert found.verdict == "undecided"
    needed = found.repeats_needed
    assert needed is not None
    decided = [_compare(_noisy(needed, 1.03, 0.03, seed)).verdict for seed in range(40)]
    assert sum(verdict == "slower" for verdict in decided) > 24


def _decided(processes: int, effect: float, spread: float, runs: int = 600) -> float:
    """Return how often the right verdict comes out, by SciPy's test: nothing of ours."""
    minimum, half = math.log(1.02), processes // 2
    logs = np.random.default_rng(3).normal(effect, spread, (runs, 2 * half))
    kept, turned = logs[:, :half], -logs[:, half:]

    def tested(shift: float, alternative: str = "two-sided") -> Any:
        return scipy.stats.mannwhitneyu(kept - 2 * shift, turned, alternative=alternative, axis=1)

    below, above = tested(minimum, "less").pvalue, tested(-minimum, "greater").pvalue
    inside = (below <= 0.025) & (above <= 0.025)
    if effect < minimum:
        return float(inside.mean())
    beyond = tested(minimum).statistic >= half**2 / 2
    return float(((tested(0.0).pvalue <= 0.01) & beyond & ~inside).mean())


@pytest.mark.parametrize("pilot", [5, 7, 12])
@pytest.mark.parametrize(
    ("effect", "spread"),
    [(0.025, 0.05), (0.03, 0.07), (0.05, 0.1), (0.1, 0.5), (0.0, 0.06), (0.01, 0.03)],
)
def test_repeats_offered_decide_four_times_out_of_five(
    pilot: int, effect: float, spread: float
) -> None:
    """The pilot estimates exactly what is true; an alarm takes 1 %, not the interval's 5 %."""
    ranks = scipy.stats.norm.ppf((np.arange(pilot) + 0.5) / pilot)
    found = _compare(
        [([1e3], [1e3 * math.exp(effect + spread * rank)]) for rank in ranks.repeat(2)]
    )
    assert found.verdict == "undecided"
    assert found.repeats_needed is not None
    share = _decided(found.repeats_needed, effect, spread)
    assert 0.7 < share < 0.98, (found.repeats_needed, found.ratio)


def _ordered(
    count: int, effect: float, loaded_last: float, spread: float = 0.01, seed: int = 2
) -> tuple[list[tuple[list[float], list[float]]], list[bool]]:
    """Every other process loads the new one first; the last loaded takes ``loaded_last``."""
    generator = np.random.default_rng(seed)
    swapped = [index % 2 == 1 for index in range(count)]
    ratios = [
        effect * math.exp(generator.normal(0, spread)) * loaded_last ** (-1 if swap else 1)
        for swap in swapped
    ]
    return [([1e6], [1e6 * ratio]) for ratio in ratios], swapped


@pytest.mark.parametrize("loaded_last", [0.9, 0.97, 1.05])
@pytest.mark.parametrize(
    ("effect", "verdict"), [(1.0, "no difference shown"), (1.05, "slower"), (1 / 1.05, "faster")]
)
def test_the_order_of_loading_cancels(loaded_last: float, effect: float, verdict: str) -> None:
    pairs, swapped = _ordered(DEFAULT_PAIR_REPEATS, effect, loaded_last)
    found = compare(pairs, swapped)
    assert found.verdict == verdict
    assert found.ratio.low < effect < found.ratio.high
    assert found.processes == (DEFAULT_PAIR_REPEATS,) * 2
    assert len(found.process_ratios) == DEFAULT_PAIR_REPEATS


def test_orders_are_compared_by_mann_whitney() -> None:
    """By SciPy: ratios of the one order beside inverse ratios of the other, moved by the square."""
    pairs, swapped = _ordered(19, 1.02, 0.98)
    found = compare(pairs, swapped)
    logs = [math.log(new[0] / base[0]) for base, new in pairs]
    kept, turned = logs[::2], [-log for log in logs[1::2]]
    expected = scipy.stats.mannwhitneyu(kept, turned, method="exact").pvalue
    assert found.p_value == pytest.approx(expected)
    means = [(one - other) / 2 for one in kept for other in turned]
    assert found.ratio.value == pytest.approx(math.exp(np.median(means)))
    for shift in np.linspace(-0.06, 0.1, 161):
        moved = [log - 2 * shift for log in kept]
        p_value = scipy.stats.mannwhitneyu(moved, turned, method="exact").pvalue
        assert (p_value > 0.05) == (found.ratio.low < math.exp(shift) < found.ratio.high)


def test_ten_processes_of_two_orders_raise_an_alarm_and_eight_do_not() -> None:
    """2 of C(8, 4) deals are 2.9 %, 2 of C(10, 5) are 0.8 %; one process of an order is too few."""
    eight, ten = (compare(*_ordered(count, 1.5, 0.97)) for count in (8, 10))
    assert (eight.verdict, eight.p_value, eight.repeats_needed) == ("undecided", 2 / 70, 10)
    assert (ten.verdict, ten.p_value) == ("slower", 2 / 252)
    pairs, _ = _ordered(30, 1.5, 0.97)
    assert compare(pairs, [True] + [False] * 29).verdict == "undecided"


def test_an_order_is_told_of_every_process() -> None:
    pairs, swapped = _ordered(4, 1.0, 1.0)
    with pytest.raises(ValueError, match="3 orders are told of 4 processes"):
        compare(pairs, swapped[:3])


def test_separate_processes_need_five_of_each_for_an_alarm() -> None:
    """2 of C(8, 4) deals are 2.9 %, 2 of C(10, 5) are 0.8 %."""
    times = [[1000 + index] for index in range(5)]
    four, five = (
        compare_separate(times[:count], [[2 * each[0]] for each in times[:count]])
        for count in (4, 5)
    )
    assert (four.verdict, four.p_value, four.repeats_needed) == ("undecided", 2 / 70, 5)
    assert (five.verdict, five.p_value) == ("slower", 2 / 252)


def test_a_step_of_the_machine_falls_on_both() -> None:
    """The machine halves its speed in the middle; the ratio of medians would be off by far."""
    base, new = [100] * 51 + [200] * 50, [103] * 50 + [206] * 51
    assert np.median(new) / np.median(base) == pytest.approx(2.06)
    assert process_ratio(base, new) == pytest.approx(1.03)


def test_the_process_is_the_unit_of_a_comparison() -> None:
    """One process with very many inferences does not outvote the others."""
    pairs: list[tuple[list[int], list[int]]] = [([100] * 10_000, [150] * 10_000)]
    pairs += [([100, 100, 100], [100, 101, 99]) for _ in range(8)]
    found = _compare(pairs)
    assert found.ratio.value == 1.0
    assert found.process_ratios[0] == 1.5


@pytest.mark.parametrize(
    ("base", "new", "said"),
    [
        ([], [], "at least one"),
        ([1, 2, 3], [1], "not interleaved"),
        ([1, 0], [1, 1], "above zero"),
        ([1, 1], [1, -1], "above zero"),
        ([1.0, math.nan], [1, 1], "finite"),
    ],
)
def test_impossible_pairs_are_refused(base: list[int], new: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _compare([(base, new)])


def test_no_pairs_and_negative_effects_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        compare([], [])
    with pytest.raises(ValueError, match="not negative"):
        _compare([([1], [1])], minimum_effect=-0.1)
    with pytest.raises(ValueError, match="at least one sample"):
        compare_separate([], [[1]])
    with pytest.raises(ValueError, match="above zero"):
        compare_separate([[0]], [[1]])


@pytest.mark.parametrize(
    ("interval", "p_value", "expected"),
    [
        ((1.03, 1.01, 1.05), 0.001, "slower"),
        ((1.03, 1.01, 1.05), 0.011, "undecided"),
        ((1.03, 0.99, 1.05), 0.001, "undecided"),
        ((1.019, 1.01, 1.03), 0.001, "undecided"),
        ((1.02, 1.001, 1.03), 0.01, "slower"),
        ((1 / 1.03, 0.95, 0.99), 0.001, "faster"),
        ((1.0, 1 / 1.019, 1.019), 1.0, "no difference shown"),
        ((1.0, 1 / 1.021, 1.01), 1.0, "undecided"),
        ((1.0, 0.99, 1.02), 1.0, "undecided"),
    ],
)
def test_the_rule(interval: tuple[float, float, float], p_value: float, expected: str) -> None:
    assert verdict_of(Interval(*interval, 0.96), p_value, 0.02, 0.95) == expected
    assert verdict_of(Interval(*interval, 0.94), p_value, 0.02, 0.95) == "undecided"


def _same(one: Comparison, other: Comparison) -> None:
    assert other.verdict == one.verdict
    assert other.p_value == pytest.approx(one.p_value, abs=1e-12)
    for field in ("value", "low", "high"):
        assert getattr(other.ratio, field) == pytest.approx(getattr(one.ratio, field), rel=1e-9)


@settings(max_examples=40)
@given(PROCESSES, st.randoms(use_true_random=False), st.sampled_from([2, 3, 1000]))
def test_comparisons_ignore_scale_and_order(
    processes: list[list[int]], random: Any, scale: int
) -> None:
    """The clock's unit and the order of processes say nothing; exchanging the two mirrors."""
    pairs = [(each, each[1:] + each[:1]) for each in processes]
    orders = [index % 2 == 1 for index in range(len(pairs))]
    found = compare(pairs, orders)
    shuffled = list(zip(pairs, orders, strict=True))
    random.shuffle(shuffled)
    scaled = [([x * scale for x in a], [x * scale for x in b]) for (a, b), _ in shuffled]
    _same(found, compare(scaled, [order for _, order in shuffled]))
    mirrored = compare([(b, a) for a, b in pairs], [not order for order in orders])
    assert mirrored.verdict == MIRROR.get(found.verdict, found.verdict)
    assert mirrored.p_value == pytest.approx(found.p_value)
    assert mirrored.ratio.value == pytest.approx(1 / found.ratio.value)


@settings(max_examples=40)
@given(PROCESSES, PROCESSES, st.randoms(use_true_random=False), st.sampled_from([2, 3, 1000]))
def test_separate_comparisons_ignore_scale_and_order(
    base: list[list[int]], new: list[list[int]], random: Any, scale: int
) -> None:
    found = compare_separate(base, new)
    shuffled = [[x * scale for x in each] for each in new]
    random.shuffle(shuffled)
    _same(found, compare_separate([[x * scale for x in each] for each in base], shuffled))
    mirrored = compare_separate(new, base)
    assert mirrored.ratio.value == pytest.approx(1 / found.ratio.value)
    assert mirrored.verdict == MIRROR.get(found.verdict, found.verdict)


def test_separate_processes_know_the_spread_between_them() -> None:
    """What is certain in common processes is not, where each process has a speed of its own."""
    pairs = _noisy(DEFAULT_PAIR_REPEATS, 1.03, 0.005)
    together = _compare(pairs)
    apart = compare_separate([a for a, _ in pairs], [b for _, b in pairs[::-1]])
    assert together.verdict == "slower"
    assert apart.verdict == "undecided"
    assert apart.ratio.high - apart.ratio.low > 5 * (together.ratio.high - together.ratio.low)
    assert apart.process_ratios == ()


def test_separate_processes_find_a_large_change() -> None:
    pairs = _noisy(DEFAULT_PAIR_REPEATS, 2.0, 0.005)
    found = compare_separate([a for a, _ in pairs], [b for _, b in pairs[::-1]])
    assert found.verdict == "slower"
    assert found.ratio.low < 2 < found.ratio.high
