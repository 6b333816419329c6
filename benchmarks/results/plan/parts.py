"""The parts of a run's plan: what one kind of process does with one artifact at some threads. Pure.

With two artifacts, base first, a part is of their pair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from cnn_export.benchmarks.results.record_types import Ending, Memory, Pair, Part, Repeat, Run


@dataclasses.dataclass(frozen=True)
class PartKey:
    """Names a part; ``artifacts`` are SHA-256, of a pair the base's first."""

    run_id: str
    kind: Part
    artifacts: tuple[str, ...]
    threads: int


def planned_parts(run: Run) -> dict[PartKey, int]:
    """Return the parts of a run's plan with their numbers of processes."""
    if run.compare:
        base, *others = run.artifacts
        pairs = [(base, other) for other in others]
        return _at_all_threads(run, "pair", pairs, run.repeats)
    each = [(sha256,) for sha256 in run.artifacts]
    return _at_all_threads(run, "time", each, run.repeats) | _at_all_threads(run, "memory", each, 1)


def part_of(record: Repeat | Pair | Memory | Ending) -> PartKey:
    """Return the part that a record belongs to."""
    match record:
        case Repeat():
            return PartKey(record.run_id, "time", (record.artifact,), record.threads)
        case Memory():
            return PartKey(record.run_id, "memory", (record.artifact,), record.threads)
        case Pair():
            return PartKey(record.run_id, "pair", (record.a, record.b), record.threads)
        case Ending():
            return PartKey(record.run_id, record.kind, tuple(record.artifacts), record.threads)


def _at_all_threads(
    run: Run, kind: Part, artifacts: Iterable[tuple[str, ...]], processes: int
) -> dict[PartKey, int]:
    return {
        PartKey(run.run_id, kind, each, threads): processes
        for each in artifacts
        for threads in run.threads
    }
