"""The budgets of a file, held against the results that the page shows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cnn_export.benchmarks.gate.budgets import BOUNDS, read_budgets
from cnn_export.benchmarks.gate.candidates import Candidate, Estimate, candidates_of, shortfalls_of
from cnn_export.benchmarks.gate.judge import Judgement, Status, judge
from cnn_export.benchmarks.gate.outputs.wording import remark
from cnn_export.benchmarks.gate.regression import Regressions
from cnn_export.benchmarks.results.series import Results
from cnn_export.benchmarks.tables.quantities import significant
from cnn_export.errors import InputRefused


@dataclasses.dataclass(frozen=True)
class BudgetRow:
    """One bound on one artifact; texts carry their units."""

    subject: str
    quantity: str
    bound: str
    measured: str
    status: Status
    remark: str = ""


def budget_rows(results: Results, budgets: Path) -> tuple[tuple[BudgetRow, ...], tuple[str, ...]]:
    """Return a row per judged bound, and sentences on what matched nothing.

    Regressions are judged where the results themselves hold both artifacts in one process; a
    baseline file is the gate's.

    Raises:
        InputRefused: the budgets cannot be read or are no such file.
    """
    regression = _Regression(results)
    verdict = judge(
        candidates_of(results), read_budgets(budgets), regression, shortfalls_of(results)
    )
    notes = (*verdict.unmatched, *regression.refusals)
    return tuple(map(_row, verdict.judgements)), tuple(f"Not judged: {words}." for words in notes)


class _Regression:
    """The gate's own regressions; what the gate would refuse the page tells in ``refusals``."""

    def __init__(self, results: Results) -> None:
        self._judge = Regressions(results, None)
        self.refusals: list[str] = []

    def __call__(self, candidate: Candidate) -> Estimate | None:
        try:
            return self._judge(candidate)
        except InputRefused as refusal:
            self.refusals.append(str(refusal))
            return None


def _row(judgement: Judgement) -> BudgetRow:
    unit = f" {BOUNDS.get(judgement.bound, '')}".rstrip()
    return BudgetRow(
        subject=judgement.candidate.label,
        quantity=judgement.bound,
        bound=f"{_number(judgement.limit)}{unit}",
        measured=f"{_range(judgement.estimate)}{unit}",
        status=judgement.status,
        remark=remark(judgement),
    )


def _range(estimate: Estimate) -> str:
    interval = estimate.interval
    if estimate.processes is None:
        return _number(interval.value)
    return f"{_number(interval.low)} to {_number(interval.high)}"


def _number(value: float) -> str:
    """Whole counts in full, with thousands apart; estimates to three digits."""
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 1 else significant(value)
