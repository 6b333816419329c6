"""Summaries, orders and the timing loop: no process, no runtime."""

from __future__ import annotations

import gc
from collections import Counter

import pytest

from cnn_export.benchmarks import timing_loop
from cnn_export.benchmarks.schedule import interleaved
from cnn_export.benchmarks.summary import Spread, paired_ratio, summarize, verdict
from cnn_export.benchmarks.timing_loop import MAXIMUM_SAMPLES, MINIMUM_SAMPLES, timed_inferences


def test_the_process_is_the_unit() -> None:
    """A process with many inferences weighs no more than one with few."""
    summary = summarize([[10] * 1000 + [1, 99], [30, 20], [40, 50, 60]])
    assert summary.process_medians_ns == (10.0, 25.0, 50.0)
    assert (summary.median_ns, summary.low_ns, summary.high_ns) == (25.0, 10.0, 50.0)
    assert summary.inferences == 1007


@pytest.mark.parametrize("processes", [[], [[]], [[1], []]])
def test_nothing_is_not_summarized(processes: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        summarize(processes)


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


class _Clock:
    """Advances by one inference's duration on every inference."""

    def __init__(self, durations_ns: list[int]) -> None:
        self.now = 0
        self.calls = 0
        self._durations = durations_ns

    def infer(self) -> None:
        assert not gc.isenabled()
        self.now += self._durations[self.calls % len(self._durations)]
        self.calls += 1

    def __call__(self) -> int:
        return self.now


def test_every_inference_is_kept_after_the_warm_up() -> None:
    clock = _Clock([100_000_000] * 5 + [1_000_000, 2_000_000])
    samples = timed_inferences(clock.infer, 0.5, clock)
    assert clock.calls == len(samples) + 5
    assert sum(samples) >= 0.5e9
    assert gc.isenabled()


def test_a_slow_network_still_gives_samples() -> None:
    clock = _Clock([10**10])
    assert timed_inferences(clock.infer, 0.5, clock) == [10**10] * MINIMUM_SAMPLES


def test_a_stuck_clock_ends() -> None:
    clock = _Clock([0])
    assert len(timed_inferences(clock.infer, 0.5, clock)) == MAXIMUM_SAMPLES


def test_failing_inference_restores_the_collector() -> None:
    def broken() -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        timing_loop.timed_inferences(broken, 0.1)
    assert gc.isenabled()


def test_a_fast_network_warms_up_for_a_fifth() -> None:
    clock = _Clock([1_000_000])
    samples = timed_inferences(clock.infer, 0.1, clock)
    assert Counter(samples) == {1_000_000: 100}
    assert clock.calls == 120
