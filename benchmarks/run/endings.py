"""How the parts of a run's plan came out, as the records that say so. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cnn_export.benchmarks.results.plan.parts import PartKey, part_of, planned_parts
from cnn_export.benchmarks.results.record_types import Ending, Memory, Pair, Record, Repeat, Run
from cnn_export.errors import ExportError, one_line


def failed_endings(
    run: Run, failed: PartKey, error: ExportError, records: Sequence[Record]
) -> list[Ending]:
    """Return a record per part that was given up; ``records`` are what is kept of the run.

    With the part that failed goes what is left of the same artifacts at the same threads.
    """
    kept = _kept(records)
    return [
        _ending(part, kept[part], planned, one_line(error), error.exit_code)
        for part, planned in planned_parts(run).items()
        if part.artifacts == failed.artifacts
        and part.threads == failed.threads
        and kept[part] < planned
    ]


def endings(run: Run, records: Sequence[Record], stopped_by: Exception | None) -> list[Ending]:
    """Return a record for every part whose last ending in ``records`` is not how it stands.

    ``stopped_by`` is what ended the call early, and with it the parts that were not complete.
    """
    kept = _kept(records)
    told = {part_of(each): each for each in records if isinstance(each, Ending)}
    reason = "the call ended before it" if stopped_by is None else one_line(stopped_by)
    found = [
        (told.get(part), _ending(part, kept[part], planned, reason))
        for part, planned in planned_parts(run).items()
    ]
    return [now for before, now in found if before is None or not _still_holds(before, now)]


def _still_holds(before: Ending, now: Ending) -> bool:
    """Whether ``before`` says it already; that a part failed says more than that it is lost."""
    if before.processes != now.processes:
        return False
    return before.outcome == now.outcome or (before.outcome, now.outcome) == ("failed", "lost")


def _kept(records: Sequence[Record]) -> Counter[PartKey]:
    return Counter(
        part_of(record) for record in records if isinstance(record, Repeat | Pair | Memory)
    )


def _ending(
    part: PartKey, kept: int, planned: int, reason: str, exit_code: int | None = None
) -> Ending:
    """Return the ending of a part; one that failed has the ``exit_code`` of its failure."""
    outcome = "measured" if kept == planned else "lost" if exit_code is None else "failed"
    return Ending(
        run_id=part.run_id,
        kind=part.kind,
        artifacts=list(part.artifacts),
        threads=part.threads,
        outcome=outcome,
        processes=kept,
        reason=None if outcome == "measured" else reason,
        exit_code=exit_code if outcome == "failed" else None,
    )
