"""The timing loop on a clock that only inferences advance."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterable

import pytest

from cnn_export.benchmarks.worker import timing_loop
from cnn_export.benchmarks.worker.timing_loop import (
    LEAD_IN_INFERENCES,
    MAXIMUM_SAMPLES,
    MINIMUM_SAMPLES,
    MINIMUM_WINDOWS,
    WARM_UP_INFERENCES_MAX,
    WINDOW_INFERENCES,
    is_settled,
    timed_inferences,
    timed_pairs,
)

MS = 1_000_000


@pytest.fixture(autouse=True)
def _collecting() -> None:
    """A process starts with its garbage collector on, whatever another test left."""
    gc.enable()


class _Clock:
    """Advances by the next duration on every inference, and logs who inferred."""

    def __init__(self) -> None:
        self.now = 0
        self.log: list[str] = []

    def __call__(self) -> int:
        return self.now

    def model(self, name: str, durations_ns: Iterable[int]) -> object:
        left = iter(durations_ns)

        def infer() -> None:
            assert not gc.isenabled()
            self.now += next(left)
            self.log.append(name)

        return infer


def _timed(clock: _Clock, durations_ns: Iterable[int], seconds: float) -> timing_loop.Timed:
    return timed_inferences(clock.model("a", durations_ns), seconds, clock)


def test_a_steady_network_needs_two_windows_and_keeps_every_sample() -> None:
    clock = _Clock()
    timed = _timed(clock, itertools.repeat(MS), 0.1)
    assert timed.series == ([MS] * 100,)
    assert timed.settled
    assert timed.warm_up == 10 + 10 + LEAD_IN_INFERENCES
    assert len(clock.log) == timed.warm_up + 100
    assert gc.isenabled()


def test_warm_up_lasts_until_two_windows_agree() -> None:
    """Windows of 10 ms: 4, then 5, then 9 inferences; no two agree before the times are steady."""
    slow = [3 * MS] * 4 + [2 * MS] * 5 + [MS + MS // 10] * 10
    clock = _Clock()
    timed = _timed(clock, itertools.chain(slow, itertools.repeat(MS)), 0.1)
    assert timed.settled
    assert set(timed.series[0]) == {MS}
    assert timed.warm_up == 4 + 5 + 10 + 10 + 10 + LEAD_IN_INFERENCES


def test_a_network_that_never_settles_says_so_after_the_measuring_time() -> None:
    growing = (MS + step * MS // 20 for step in itertools.count())
    timed = _timed(_Clock(), growing, 0.1)
    assert not timed.settled
    assert sum(timed.series[0]) >= 0.1e9


def test_a_slow_network_still_gives_windows_and_samples() -> None:
    ever_slower = (10**10 + step * 10**9 for step in itertools.count())
    timed = _timed(_Clock(), ever_slower, 0.5)
    assert len(timed.series[0]) == MINIMUM_SAMPLES
    assert timed.warm_up == MINIMUM_WINDOWS * WINDOW_INFERENCES + LEAD_IN_INFERENCES
    assert not timed.settled


def test_a_stuck_clock_ends() -> None:
    timed = _timed(_Clock(), itertools.repeat(0), 0.5)
    assert len(timed.series[0]) == MAXIMUM_SAMPLES
    assert timed.warm_up <= WARM_UP_INFERENCES_MAX + 1 + LEAD_IN_INFERENCES


def test_failing_inference_restores_the_collector() -> None:
    def broken() -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        timed_inferences(broken, 0.1)
    assert gc.isenabled()


@pytest.mark.parametrize(("b_first", "block"), [(False, 1), (True, 1), (False, 3), (True, 3)])
def test_pairs_interleave_in_blocks_and_keep_who_is_who(b_first: bool, block: int) -> None:
    clock = _Clock()
    a = clock.model("a", itertools.repeat(2 * MS))
    b = clock.model("b", itertools.repeat(5 * MS))
    timed = timed_pairs((a, b), 0.07, b_first=b_first, block=block, clock_ns=clock)
    assert set(timed.series[0]) == {2 * MS}
    assert set(timed.series[1]) == {5 * MS}
    assert len(timed.series[0]) == len(timed.series[1])
    assert sum(map(sum, timed.series)) >= 2 * 0.07e9
    order = "ba" if b_first else "ab"
    one_round = order[0] * block + order[1] * block
    timed_log = "".join(clock.log[-2 * len(timed.series[0]) :])
    assert timed_log == one_round * (len(timed_log) // len(one_round))


def test_a_pair_is_settled_when_both_are() -> None:
    clock = _Clock()
    steady = clock.model("a", itertools.repeat(MS))
    unsteady = clock.model("b", (MS * (1 + step % 40) for step in itertools.count()))
    assert not timed_pairs((steady, unsteady), 0.1, clock_ns=clock).settled


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([100], [102], True),
        ([100], [97.9], False),
        ([100, 100], [100, 103], False),
        ([0], [0], True),
    ],
)
def test_settled_is_within_two_percent_of_all(
    before: list[float], after: list[float], expected: bool
) -> None:
    assert is_settled(before, after) is expected


def test_warm_up_never_exceeds_its_inferences() -> None:
    """Windows of 30 ms at 1 µs and ever slower: the second is cut where the limit is reached."""
    now, calls = 0, 0

    def infer() -> None:
        nonlocal now, calls
        calls += 1
        now += 1000 + calls // 10

    timed = timing_loop.timed_inferences(infer, 0.3, lambda: now)
    assert not timed.settled
    assert timed.warm_up == timing_loop.WARM_UP_INFERENCES_MAX + timing_loop.LEAD_IN_INFERENCES
