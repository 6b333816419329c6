"""Judge figures against budgets: met, missed, or undecided. Pure.

All bounds are upper ones. An estimated figure is met when its whole interval is at or below the
limit, missed when the whole interval is above, and undecided when the limit lies inside it or the
interval has less than the confidence asked for (too few processes).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

from cnn_export.benchmarks.budgets import Budget
from cnn_export.benchmarks.candidates import Candidate, Figure
from cnn_export.benchmarks.decision import repeats_needed
from cnn_export.benchmarks.intervals import DEFAULT_CONFIDENCE

Standing = Literal["met", "missed", "undecided"]
STANDINGS: tuple[Standing, ...] = ("missed", "undecided", "met")
"""The worst first."""

REGRESSION = "regression_percent"
Regression = Callable[[Candidate], Figure | None]


@dataclasses.dataclass(frozen=True)
class Judgement:
    """One bound on one artifact.

    ``repeats_needed`` estimates the processes that would decide an undecided one; ``None`` where
    it is decided, or where no number in sight would.
    """

    candidate: Candidate
    budget: Budget
    bound: str
    limit: float
    figure: Figure
    standing: Standing
    repeats_needed: int | None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A judged gate. ``unmatched`` says in words which budgets and results did not meet."""

    judgements: tuple[Judgement, ...]
    unmatched: tuple[str, ...]

    @property
    def standing(self) -> Standing:
        """The worst standing; met if nothing was judged."""
        found = {judgement.standing for judgement in self.judgements}
        for standing in STANDINGS:
            if standing in found:
                return standing
        return "met"

    def count(self, standing: Standing) -> int:
        """Return how many judgements have this standing."""
        return sum(judgement.standing == standing for judgement in self.judgements)


def judge(
    candidates: Sequence[Candidate], budgets: Sequence[Budget], regression: Regression
) -> Verdict:
    """Hold every budget against every candidate it selects.

    ``regression`` returns how much slower a candidate has become, percent, or ``None``; it is
    asked only where a budget bounds that.
    """
    judgements: list[Judgement] = []
    unmatched: list[str] = []
    chosen: set[int] = set()
    for number, budget in enumerate(budgets, start=1):
        selected = [each for each in candidates if budget.selects(each.attributes)]
        chosen |= {id(each) for each in selected}
        if not selected:
            unmatched.append(f"budget {number} ({budget.selection}) selects no result")
        for candidate in selected:
            for bound, limit in budget.bounds.items():
                figure = _figure(candidate, bound, regression)
                if figure is None:
                    unmatched.append(f"budget {number}: {_unknown(candidate, bound)}")
                else:
                    judgements.append(_judgement(candidate, budget, bound, limit, figure))
    unmatched += [
        f"no budget selects {each.label}" for each in candidates if id(each) not in chosen
    ]
    return Verdict(tuple(judgements), tuple(unmatched))


def standing_of(figure: Figure, limit: float, confidence: float = DEFAULT_CONFIDENCE) -> Standing:
    """Apply the rule of this module to one figure."""
    interval = figure.interval
    if interval.confidence < confidence:
        return "undecided"
    if interval.high <= limit:
        return "met"
    return "missed" if interval.low > limit else "undecided"


def _judgement(
    candidate: Candidate, budget: Budget, bound: str, limit: float, figure: Figure
) -> Judgement:
    standing = standing_of(figure, limit)
    needed = None
    if standing == "undecided" and figure.processes is not None:
        needed = repeats_needed(figure.interval, figure.processes, limit, fewest=figure.fewest)
    return Judgement(candidate, budget, bound, limit, figure, standing, needed)


def _figure(candidate: Candidate, bound: str, regression: Regression) -> Figure | None:
    return regression(candidate) if bound == REGRESSION else candidate.figures.get(bound)


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
