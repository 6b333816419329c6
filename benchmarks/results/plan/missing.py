"""The parts of plans that lack processes, in words and as JSON values. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cnn_export.benchmarks.results.plan.coverage import PartCoverage


def missing_lines(parts: Iterable[PartCoverage]) -> list[str]:
    """Return a line per part: which, what became of it, and what gives the rest."""
    return [f"{part.label}: {_outcome(part)}; {_remedy(part)}" for part in parts]


def missing_record(part: PartCoverage) -> dict[str, Any]:
    """Return a part as JSON values."""
    return {
        "artifact": part.artifact.name,
        "against": part.artifacts[0].name if part.kind == "pair" else None,
        "sha256": part.artifact.sha256,
        "kind": part.kind,
        "device": part.run.device.id,
        "threads": part.threads,
        "planned": part.planned,
        "processes": part.kept,
        "outcome": part.outcome,
        "reason": part.reason,
        "remedy": _remedy(part),
    }


def _outcome(part: PartCoverage) -> str:
    """Return ``failed: the worker crashed (7 of 10 processes)``."""
    why = f": {part.reason}" if part.reason else ""
    return f"{part.outcome}{why} ({part.kept} of {part.planned} processes)"


def _remedy(part: PartCoverage) -> str:
    """Return what gives the rest."""
    if part.resumable:
        return "complete it with the same 'cnn-bench run' and --resume"
    return "its run is not the last of the file; measure again into a new --out"
