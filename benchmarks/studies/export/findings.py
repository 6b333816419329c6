"""From what processes cost to figures with limits. Arithmetic only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from cnn_export.benchmarks.studies.export.rounds import Round
from cnn_export.benchmarks.studies.processes import Usage
from cnn_export.benchmarks.studies.summary import Spread, paired_ratio, spread, verdict

STARTUP_LIMIT_S = 0.3
TIME_LIMIT = 1.15
PEAK_LIMIT = 1.2
TOGETHER_LIMIT = 0.8
"""Limits of the project's plan: startup in seconds, the others as ratios."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One figure. Without a limit it is there to explain the others."""

    subject: str
    quantity: str
    unit: str
    measured: Spread
    limit: float | None = None

    @property
    def verdict(self) -> str:
        """Return met, missed, undecided or no limit."""
        return "no limit" if self.limit is None else verdict(self.measured, self.limit)


def startup_findings(runs: Mapping[str, Sequence[Usage]]) -> list[Finding]:
    """Return the wall time of each option that needs no torch."""
    return [
        Finding(f"cnn-export {option}", "wall", "s", spread(_walls(usages)), STARTUP_LIMIT_S)
        for option, usages in runs.items()
    ]


def round_findings(rounds: Sequence[Round]) -> list[Finding]:
    """Return export against bare call per target, and one command against four.

    Raises:
        ValueError: no rounds.
    """
    if not rounds:
        raise ValueError("a ratio needs at least one round")
    findings = [f for target in rounds[0].bare for f in _against_bare(target, rounds)]
    return findings + _together(rounds)


def _against_bare(target: str, rounds: Sequence[Round]) -> list[Finding]:
    exported = [each.single[target] for each in rounds]
    bare = [each.bare[target] for each in rounds]
    subject = f"{target}: cnn-export / vendor's call"
    wall = paired_ratio(_walls(exported), _walls(bare))
    cpu = paired_ratio([u.cpu_s for u in exported], [u.cpu_s for u in bare])
    peak = paired_ratio([u.peak_bytes for u in exported], [u.peak_bytes for u in bare])
    return [
        Finding(subject, "wall", "ratio", wall, TIME_LIMIT if target == "tflite" else None),
        Finding(subject, "CPU", "ratio", cpu),
        Finding(subject, "peak memory", "ratio", peak, PEAK_LIMIT),
    ]


def _together(rounds: Sequence[Round]) -> list[Finding]:
    pairs = [
        (each.together.wall_s, sum(_walls(list(each.single.values()))))
        for each in rounds
        if each.together is not None
    ]
    if not pairs:
        return []
    ratio = paired_ratio([one for one, _ in pairs], [four for _, four in pairs])
    subject = "four targets: one command / four commands"
    return [Finding(subject, "wall", "ratio", ratio, TOGETHER_LIMIT)]


def _walls(usages: Sequence[Usage]) -> list[float]:
    return [usage.wall_s for usage in usages]
