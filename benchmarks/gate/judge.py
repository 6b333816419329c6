"""Judge figures against budgets: met, missed, or undecided. Pure.

All bounds are upper ones. An estimated figure is met when its whole interval is at or below the
limit, missed when the whole interval is above, and undecided when the limit lies inside it or the
interval has less than the confidence asked for (too few processes). A budget may ask for more of a
regression: that none is shown at all, however small.

What a run planned and the results lack is a judgement of its own (:data:`PROCESSES`): undecided
where it was lost, missed where it failed. So a bound can be met only by what was measured whole.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

from cnn_export.benchmarks.gate.budgets import Budget
from cnn_export.benchmarks.gate.candidates import (
    MEMORY_BOUNDS,
    Candidate,
    Estimate,
    Shortfall,
    exact,
)
from cnn_export.benchmarks.statistics.intervals import DEFAULT_CONFIDENCE
from cnn_export.benchmarks.statistics.sample_size import repeats_needed

Status = Literal["met", "missed", "undecided"]
STATUSES: tuple[Status, ...] = ("missed", "undecided", "met")
"""The worst first."""

REGRESSION = "regression_percent"
PROCESSES = "processes"
"""The bound that a plan sets: how many processes there have to be."""
Regression = Callable[[Candidate], Estimate | None]


@dataclasses.dataclass(frozen=True)
class Judgement:
    """One bound on one artifact.

    ``repeats_needed`` estimates the processes that would decide an undecided one; ``None`` where
    it is decided, or where no number in sight would. ``shortfall`` is what a judgement on
    :data:`PROCESSES` is about; its limit is the number planned.
    """

    candidate: Candidate
    budget: Budget
    bound: str
    limit: float
    estimate: Estimate
    status: Status
    repeats_needed: int | None
    shortfall: Shortfall | None = None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A judged gate. ``unmatched`` says in words which budgets and results did not meet."""

    judgements: tuple[Judgement, ...]
    unmatched: tuple[str, ...]

    @property
    def status(self) -> Status:
        """The worst status; met if nothing was judged."""
        found = {judgement.status for judgement in self.judgements}
        for status in STATUSES:
            if status in found:
                return status
        return "met"

    def count(self, status: Status) -> int:
        """Return how many judgements have this status."""
        return sum(judgement.status == status for judgement in self.judgements)


def judge(
    candidates: Sequence[Candidate],
    budgets: Sequence[Budget],
    regression: Regression,
    shortfalls: Sequence[Shortfall] = (),
) -> Verdict:
    """Hold every budget against every candidate it selects, and what its plan lacks.

    ``regression`` returns how much slower a candidate has become, percent, or ``None``; it is
    asked only where a budget bounds that.
    """
    judging = _Judging(regression, shortfalls)
    for number, budget in enumerate(budgets, start=1):
        judging.add(number, budget, candidates)
    return judging.verdict(candidates)


class _Judging:
    """A gate while its budgets come in."""

    def __init__(self, regression: Regression, shortfalls: Sequence[Shortfall]) -> None:
        self._regression = regression
        self._shortfalls = shortfalls
        self._judgements: list[Judgement] = []
        self._unmatched: list[str] = []
        self._chosen: set[int] = set()
        self._counted: set[int] = set()

    def add(self, number: int, budget: Budget, candidates: Sequence[Candidate]) -> None:
        selected = [each for each in candidates if budget.selects(each.attributes)]
        lacking = [each for each in self._shortfalls if budget.selects(each.candidate.attributes)]
        self._chosen |= {id(each) for each in selected}
        if not selected and not lacking:
            there = budget.names_there_were([each.attributes for each in candidates])
            self._unmatched.append(
                f"budget {number} ({budget.selection}) selects no result"
                + (f" (there are {there})" if there else "")
            )
        for candidate in selected:
            for bound, limit in budget.bounds.items():
                self._judge(number, budget, candidate, bound, limit, lacking)
        for shortfall in lacking:
            self._count(budget, shortfall)

    def verdict(self, candidates: Sequence[Candidate]) -> Verdict:
        idle = [each for each in candidates if id(each) not in self._chosen]
        idle += [
            each.candidate
            for each in self._shortfalls
            if each.part.kind != "memory" and id(each) not in self._counted
        ]
        told = dict.fromkeys(f"no budget selects {each.label}" for each in idle)
        return Verdict(tuple(self._judgements), (*self._unmatched, *told))

    def _judge(
        self,
        number: int,
        budget: Budget,
        candidate: Candidate,
        bound: str,
        limit: float,
        lacking: Sequence[Shortfall],
    ) -> None:
        estimate = _estimate(candidate, bound, self._regression)
        if estimate is not None:
            self._judgements.append(_judgement(candidate, budget, bound, limit, estimate))
        elif not any(each.is_of(candidate) and bound in each.concerns for each in lacking):
            self._unmatched.append(f"budget {number}: {_unknown(candidate, bound)}")

    def _count(self, budget: Budget, shortfall: Shortfall) -> None:
        """Judge a shortfall once; one of memory only where memory is bounded."""
        memory = shortfall.part.kind == "memory"
        if id(shortfall) in self._counted or (memory and not MEMORY_BOUNDS & budget.bounds.keys()):
            return
        self._counted.add(id(shortfall))
        self._judgements.append(_lacking(shortfall, budget))


def _lacking(shortfall: Shortfall, budget: Budget) -> Judgement:
    part = shortfall.part
    status: Status = "missed" if part.outcome == "failed" else "undecided"
    return Judgement(
        shortfall.candidate, budget, PROCESSES, part.planned, exact(part.kept), status, None,
        shortfall,
    )  # fmt: skip


def status_of(estimate: Estimate, limit: float, confidence: float = DEFAULT_CONFIDENCE) -> Status:
    """Apply the rule of this module to one estimate."""
    interval = estimate.interval
    if interval.confidence < confidence:
        return "undecided"
    if interval.high <= limit:
        return "met"
    return "missed" if interval.low > limit else "undecided"


def _judgement(
    candidate: Candidate, budget: Budget, bound: str, limit: float, estimate: Estimate
) -> Judgement:
    status = status_of(estimate, limit)
    if bound == REGRESSION and not budget.allow_slight_regression and _is_shown(estimate):
        status = "missed"
    needed = None
    if status == "undecided" and estimate.processes is not None:
        needed = repeats_needed(
            estimate.interval, estimate.processes, limit, fewest=estimate.fewest
        )
    return Judgement(candidate, budget, bound, limit, estimate, status, needed)


def _is_shown(regression: Estimate) -> bool:
    """Whether the whole interval is slower, by how little ever."""
    return status_of(regression, 0.0) == "missed"


def _estimate(candidate: Candidate, bound: str, regression: Regression) -> Estimate | None:
    return regression(candidate) if bound == REGRESSION else candidate.estimates.get(bound)


def _unknown(candidate: Candidate, bound: str) -> str:
    """Say what would give the figure."""
    if bound == REGRESSION:
        remedy = "give --baseline with an earlier version of it, or measure with run --compare"
    elif candidate.setting is None:
        remedy = "it did not run; give a results file"
    elif bound in ("macs", "mac_bytes", "partitions"):
        remedy = "the file could not be counted; see cnn-bench cost"
    else:
        remedy = "measure it with cnn-bench run"
    return f"{bound} of {candidate.label} is not known ({remedy})"
