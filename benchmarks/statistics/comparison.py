"""Is the new artifact faster, slower, or neither? Judged on one number per process. No I/O.

Ratios are new over base: above 1 is slower. The rule, for a confidence *c* (95 %) and a minimum
effect *m* (2 %):

- **slower** (**faster**): the ratio's interval lies above (below) 1, the exact permutation test
  says p ≤ 1 %, and the ratio is at least 1 + m (at most 1 / (1 + m)). The test alone keeps false
  alarms to that 1 % under whatever noise treats both alike; it needs 10 processes (5 of each where
  they are separate) to say so little.
- **slightly slower** (**slightly faster**): the interval lies inside (1 / (1 + m), 1 + m), and
  above (below) 1: there is a difference, smaller than what counts. Its false alarms are those of
  the interval, 5 %.
- **no difference shown**: the interval lies inside (1 / (1 + m), 1 + m) and holds 1.
- **undecided**: everything else, also every interval that lacks the confidence *c* because there
  are too few processes.

A process treats the artifact that it loaded last better or worse than the other, all along, by up
to 4 %. So half of the processes load them in the opposite order. Equal artifacts have ratios *x* in
one half and 1/*y* in the other that are of one distribution; a true ratio moves them apart by its
square. That is Mann and Whitney's problem, and of equal artifacts the test needs nothing to be
symmetric. The ratio of different artifacts is the pseudo-median over the two orders: the median,
over all couples of a process of the one and a process of the other, of the geometric mean of their
ratios. Where the noise is asymmetric, that is not the median of the processes' ratios.

Processes of one order say nothing of the other, so a run that has no more is undecided.

The minimum effect is symmetric in the logarithm, so that exchanging base and new exchanges the
verdicts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from cnn_export.benchmarks.statistics.intervals import (
    DEFAULT_CONFIDENCE,
    FloatArray,
    Interval,
    Samples,
    checked_values,
    process_quantiles,
)
from cnn_export.benchmarks.statistics.rank_sum import rank_sum_p_value, shift_interval
from cnn_export.benchmarks.statistics.sample_size import repeats_to_judge

DEFAULT_MINIMUM_EFFECT = 0.02
ALARM_LEVEL = 0.01
"""What share of comparisons of equal artifacts may raise an alarm, at most."""
FEWEST_EACH = (5, 4)
"""The fewest of each of two groups of processes that can raise an alarm, 2 of C(10, 5) deals, and
that have an interval, 2 of C(8, 4)."""
DEFAULT_PAIR_REPEATS = 32
"""Processes of the default co-resident comparison; see the study in ``README.md``."""
DEFAULT_PAIR_SECONDS = 0.5
"""Timed seconds per process of each of the two artifacts, without warm-up."""
PAIR_BLOCK_SECONDS = 0.005
"""How long the faster one runs before the other's turn, where the two differ much in size: a
network of 1 MB behind one of 14 MB finds its caches emptied, and takes 4 times as long."""

_DECIMALS = 12

Verdict = Literal[
    "faster", "slower", "slightly faster", "slightly slower", "no difference shown", "undecided"
]
SLIGHT: tuple[Verdict, ...] = ("slightly faster", "slightly slower")
TOO_SMALL: tuple[Verdict, ...] = (*SLIGHT, "no difference shown")
"""The verdicts of an interval in which no difference counts."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A judged comparison.

    ``ratio`` is new over base. ``process_ratios`` holds one ratio per process (empty where base
    and new ran in separate processes), ``processes`` their numbers (base, new).
    ``repeats_needed`` estimates the processes (per side) that would decide; ``None`` where it is
    decided, or where that many are not in sight.
    """

    ratio: Interval
    verdict: Verdict
    p_value: float
    minimum_effect: float
    confidence: float
    processes: tuple[int, int]
    process_ratios: tuple[float, ...] = ()
    repeats_needed: int | None = None


def compare(
    pairs: Sequence[tuple[Samples, Samples]],
    new_loaded_first: Sequence[bool],
    minimum_effect: float = DEFAULT_MINIMUM_EFFECT,
    confidence: float = DEFAULT_CONFIDENCE,
) -> Comparison:
    """Compare artifacts that were interleaved in the same processes.

    ``pairs`` holds, per process, nanoseconds of the base's and of the new one's inferences in
    their order; the i-th of both ran one after the other. ``new_loaded_first`` says for each
    process who was loaded first.

    Of each process counts the logarithm of :func:`process_ratio`. The ratio is the median over all
    couples of opposite orders of their mean, with the interval and exact test of
    :func:`compare_separate`. Without an opposite it is the median over processes and undecided,
    with their range and no confidence.

    Raises:
        ValueError: no pairs, one without samples or with a time of zero, a negative effect.
    """
    ratios = np.array([process_ratio(base, new) for base, new in pairs])
    # Rounded, because what is a tie in whole nanoseconds must be one to the test.
    logs = np.log(checked_values(ratios)).round(_DECIMALS)
    swapped = _orders(new_loaded_first, logs.size)
    kept, turned = logs[~swapped], -logs[swapped]
    both = kept.size and turned.size
    shift, p_value = _shift(turned, kept, confidence) if both else _unopposed(logs)
    ratio = _exponential(shift)
    found = _judged(ratio, p_value, minimum_effect, confidence, (logs.size, logs.size))
    found = dataclasses.replace(found, process_ratios=tuple(map(float, ratios)))
    return _with_repeats(found, (kept.size, turned.size), each=2)


def compare_separate(
    base_processes: Sequence[Samples],
    new_processes: Sequence[Samples],
    minimum_effect: float = DEFAULT_MINIMUM_EFFECT,
    confidence: float = DEFAULT_CONFIDENCE,
) -> Comparison:
    """Compare artifacts that ran in processes of their own, perhaps in different files.

    One median per process; the ratio is the median of all ratios of a new process over a base
    process (Hodges and Lehmann's shift of the logarithms), its interval and p-value are Mann and
    Whitney's, exact. They know the spread between the given processes. What changed between two
    *runs* (another hour, another clock) is in no process and therefore in no interval; interleave
    the two artifacts in one run, or compare them in the same processes, to exclude it.

    Raises:
        ValueError: as :func:`compare`.
    """
    base, new = (_log_medians(each) for each in (base_processes, new_processes))
    ratio = _exponential(shift_interval(base, new, confidence))
    p_value = rank_sum_p_value(base, new)
    found = _judged(ratio, p_value, minimum_effect, confidence, (base.size, new.size))
    return _with_repeats(found, found.processes)


def process_ratio(base: Samples, new: Samples) -> float:
    """Return the median ratio of adjacent inferences, new over base, middle ones geometrically.

    A step or drift of the machine falls on both of a pair; the ratio of the two medians would
    keep it where it meets the middle of the process. A surplus inference at the end is left out.

    Raises:
        ValueError: no samples, a time that is not positive, or lengths that differ by more than 1.
    """
    times = [checked_values(each) for each in (base, new)]
    count = min(times[0].size, times[1].size)
    if abs(times[0].size - times[1].size) > 1:
        raise ValueError(f"{times[0].size} and {times[1].size} inferences were not interleaved")
    if min(times[0].min(), times[1].min()) <= 0:
        raise ValueError("a ratio needs times above zero")
    return math.exp(float(np.median(np.log(times[1][:count] / times[0][:count]))))


def _orders(new_loaded_first: Sequence[bool], processes: int) -> npt.NDArray[np.bool_]:
    if len(new_loaded_first) != processes:
        raise ValueError(f"{len(new_loaded_first)} orders are told of {processes} processes")
    return np.array(new_loaded_first, bool)


def _shift(turned: FloatArray, kept: FloatArray, confidence: float) -> tuple[Interval, float]:
    """Return half the shift between the two orders, which is what the artifacts differ in."""
    return shift_interval(turned, kept, confidence).scaled(0.5), rank_sum_p_value(turned, kept)


def _unopposed(logs: FloatArray) -> tuple[Interval, float]:
    """Return what processes of one order show: nothing that a verdict may rest on."""
    middle = float(np.median(logs))
    return Interval(middle, float(logs.min()), float(logs.max()), 0.0), 1.0


def pair_block(base_ns: float, new_ns: float) -> int:
    """Return how many inferences to run in turn, so that refilled caches do not move the medians.

    1 for networks of :data:`PAIR_BLOCK_SECONDS` and more.
    """
    return max(1, math.ceil(PAIR_BLOCK_SECONDS * 1e9 / max(1.0, min(base_ns, new_ns))))


def of_incomplete(found: Comparison) -> Comparison:
    """Return the comparison of processes of which planned ones are missing.

    Which ones are missing may be no chance, so they show no more than that it is slower.
    """
    if found.verdict == "slower":
        return found
    return dataclasses.replace(found, verdict="undecided", repeats_needed=None)


def verdict_of(
    ratio: Interval, p_value: float, minimum_effect: float, confidence: float
) -> Verdict:
    """Apply the rule of this module."""
    if ratio.confidence < confidence:
        return "undecided"
    upper = 1 + minimum_effect
    if 1 / upper < ratio.low and ratio.high < upper:
        return _within(ratio)
    significant = p_value <= ALARM_LEVEL
    if significant and ratio.low > 1 and ratio.value >= upper:
        return "slower"
    if significant and ratio.high < 1 and ratio.value <= 1 / upper:
        return "faster"
    return "undecided"


def _within(ratio: Interval) -> Verdict:
    if ratio.low > 1:
        return "slightly slower"
    return "slightly faster" if ratio.high < 1 else "no difference shown"


def verdict_words(found: Comparison) -> str:
    """Return the verdict as everything that shows one tells it.

    A slight difference is told with its size: ``slower by 1.5 %, below the 2 % that counts``.
    """
    if found.verdict not in SLIGHT:
        return found.verdict
    _, direction = found.verdict.split()
    ratio = found.ratio.value if direction == "slower" else 1 / found.ratio.value
    counts = f"below the {100 * found.minimum_effect:g} % that counts"
    return f"{direction} by {100 * (ratio - 1):.2g} %, {counts}"


def _judged(
    ratio: Interval,
    p_value: float,
    minimum_effect: float,
    confidence: float,
    processes: tuple[int, int],
) -> Comparison:
    if minimum_effect < 0:
        raise ValueError(f"a minimum effect is not negative, as {minimum_effect} is")
    return Comparison(
        ratio=ratio,
        verdict=verdict_of(ratio, p_value, minimum_effect, confidence),
        p_value=p_value,
        minimum_effect=minimum_effect,
        confidence=confidence,
        processes=processes,
    )


def _with_repeats(found: Comparison, groups: tuple[int, int], each: int = 1) -> Comparison:
    """Offer the processes that would decide: ``each`` for one of both of two equal ``groups``."""
    if found.verdict != "undecided":
        return found
    ratio = found.ratio
    value, low, high = map(math.log, (ratio.value, ratio.low, ratio.high))
    size = _equal_size(*groups)
    # Never fewer than there are: of pairs, those of both orders are one run.
    least = math.floor(size) + 1 if each == 1 else sum(groups) // each + 1
    needed = repeats_to_judge(
        Interval(value, low, high, ratio.confidence),
        size,
        math.log1p(found.minimum_effect),
        found.confidence,
        ALARM_LEVEL,
        (max(least, FEWEST_EACH[0]), max(least, FEWEST_EACH[1])),
    )
    return dataclasses.replace(found, repeats_needed=None if needed is None else each * needed)


def _equal_size(first: int, second: int) -> float:
    """Return the size of two equal groups whose medians differ as surely as those of these two."""
    return 2 * first * second / (first + second)


def _log_medians(processes: Sequence[Samples]) -> FloatArray:
    medians = process_quantiles(processes, 0.5)
    if medians.min() <= 0:
        raise ValueError("a ratio needs times above zero")
    return np.log(medians).round(_DECIMALS)


def _exponential(logs: Interval) -> Interval:
    return Interval(math.exp(logs.value), math.exp(logs.low), math.exp(logs.high), logs.confidence)
