"""What the stage did, as values that serialise."""

from __future__ import annotations

import dataclasses

from cnn_export.reparam.cost import Cost
from cnn_export.reparam.program_pass import Decision, Refusal


@dataclasses.dataclass(frozen=True)
class PassReport:
    """Every rewrite of one pass over all rounds, and the refusals that stand at the end.

    ``decisions`` are all that were taken, and those against a rewrite that stand at the end.
    """

    name: str
    rewrites: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    decisions: tuple[Decision, ...] = ()


@dataclasses.dataclass(frozen=True)
class Proof:
    """Measured ``max |a - b| / rms(a)`` in float64, the worst over all outputs, and its limit.

    Both are those of the worst of the ``probes`` that could show anything.
    """

    relative_error: float
    tolerance: float
    probes: int = 1


@dataclasses.dataclass(frozen=True)
class Report:
    """The stage's result. ``proof`` is ``None`` where the caller switched it off."""

    passes: tuple[PassReport, ...]
    rounds: int
    before: Cost
    after: Cost
    proof: Proof | None

    @property
    def modified(self) -> bool:
        """Whether any pass fired."""
        return any(each.rewrites for each in self.passes)


def joined(first: Report, second: Report) -> Report:
    """Return the report of two runs, one after the other, with the worse proof of both."""
    proofs = [each.proof for each in (first, second) if each.proof is not None]
    worst = max(proofs, key=lambda each: (each.relative_error, each.probes), default=None)
    return Report(
        passes=(*first.passes, *second.passes),
        rounds=first.rounds + second.rounds,
        before=first.before,
        after=second.after,
        proof=worst,
    )
