"""Figures in words, the same in every output."""

from __future__ import annotations

import math

from cnn_export.benchmarks.gate.budgets import BOUNDS
from cnn_export.benchmarks.gate.judge import PROCESSES, Judgement
from cnn_export.benchmarks.results.plan.missing import missing_lines
from cnn_export.benchmarks.statistics.comparison import SLIGHT, verdict_words
from cnn_export.benchmarks.statistics.intervals import DEFAULT_CONFIDENCE

_PERCENT_DECIMALS = 2
_TIME_DIGITS = 4
"""Significant digits of a time; its interval has as many decimals."""


def limit_text(judgement: Judgement) -> str:
    """Return ``≤ 12 ms``, as it stands in the budget; ``≥ 10`` for planned processes."""
    limit = judgement.limit
    if judgement.bound == PROCESSES:
        return f"≥ {limit:,}"
    return f"≤ {_with_unit(judgement.bound, f'{int(limit) if limit == int(limit) else limit:,}')}"


def measured_text(judgement: Judgement) -> str:
    """Return ``11.50 (11.20 to 11.90) ms``; a figure that is known has no interval."""
    bound, interval = judgement.bound, judgement.estimate.interval
    decimals = _decimals(bound, interval.value)
    value, low, high = (
        f"{each:,.{decimals}f}" for each in (interval.value, interval.low, interval.high)
    )
    known = judgement.estimate.processes is None
    return _with_unit(bound, value if known else f"{value} ({low} to {high})")


def remark(judgement: Judgement) -> str:
    """Say what an undecided bound needs, and under which unfit conditions a figure arose.

    Of planned processes that are not there: which, what became of them, and what to do. That a file
    is not proven is said of every figure.
    """
    if judgement.shortfall is not None:
        (line,) = missing_lines([judgement.shortfall.part])
        return line
    parts = [_need(judgement)] if judgement.status == "undecided" else []
    parts += filter(None, [judgement.candidate.artifact.acceptance])
    if comparison := judgement.estimate.comparison:
        parts += [verdict_words(comparison)] if comparison.verdict in SLIGHT else []
    if judgement.estimate.flags:
        parts.append(f"flags: {', '.join(judgement.estimate.flags)}")
    return "; ".join(parts)


def _need(judgement: Judgement) -> str:
    count, needed = judgement.estimate.processes, judgement.repeats_needed
    if needed is None:
        return "too close to the limit for any number of repeats in sight"
    trusted = judgement.estimate.interval.confidence >= DEFAULT_CONFIDENCE
    reason = "" if trusted else f"{count} repeats give no {DEFAULT_CONFIDENCE:.0%} interval; "
    return f"{reason}about {needed} repeats would decide (has {count})"


def _decimals(bound: str, value: float) -> int:
    """Return how many decimals a figure of this bound shows; counts are whole."""
    unit = BOUNDS.get(bound, "")
    if unit == "%":
        return _PERCENT_DECIMALS
    if unit != "ms":
        return 0
    return max(0, _TIME_DIGITS - 1 - math.floor(math.log10(value))) if value > 0 else 0


def _with_unit(bound: str, text: str) -> str:
    return f"{text} {BOUNDS.get(bound, '')}".rstrip()
