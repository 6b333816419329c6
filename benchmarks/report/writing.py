"""From files to the page: read, group, judge, render, write."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from cnn_export.atomic_commit import save_text
from cnn_export.benchmarks.cost.reading import read_costs
from cnn_export.benchmarks.profiles.document import read_profile
from cnn_export.benchmarks.report.cross_check_tables import look_tables
from cnn_export.benchmarks.report.judging import budget_rows
from cnn_export.benchmarks.report.measured import group
from cnn_export.benchmarks.report.page import Inputs, render
from cnn_export.benchmarks.results.plan_coverage import Coverage, missing_lines
from cnn_export.benchmarks.results.record_check import RecordCheck
from cnn_export.benchmarks.results.record_types import Record
from cnn_export.benchmarks.results.results_file import BadLine, read_records
from cnn_export.errors import DestinationError

_SHOWN_BAD_LINES = 5


@dataclasses.dataclass(frozen=True)
class Sources:
    """What a page is made from: a results file and, where given, what stands beside it."""

    results: Path
    profiles: tuple[Path, ...] = ()
    artifacts: tuple[Path, ...] = ()
    budgets: Path | None = None


def page_of(sources: Sources) -> str:
    """Return the HTML document. Budgets are judged only on results without damage.

    Raises:
        InputRefused: a file is missing, damaged or foreign, or holds no measurement.
    """
    records, notes = _sorted_out(read_records(sources.results))
    notes += _coverage_notes(records)
    rows = None
    if sources.budgets is not None:
        rows, unmatched = budget_rows(sources.results, sources.budgets)
        notes += unmatched
    opinions, traffic = look_tables(records)
    return render(
        Inputs(
            measured=group(records),
            title=sources.results.name,
            notes=notes,
            budgets=rows,
            profiles=tuple(map(read_profile, sources.profiles)),
            costs=tuple(read_costs(sources.artifacts)),
            opinions=opinions,
            traffic=traffic,
        )
    )


def _sorted_out(lines: Iterable[Record | BadLine]) -> tuple[list[Record], tuple[str, ...]]:
    """Return the records that count, and what the page says about the others."""
    records: list[Record] = []
    bad: list[BadLine] = []
    uncounted: list[str] = []
    check = RecordCheck()
    for line in lines:
        if isinstance(line, BadLine):
            bad.append(line)
        elif (problem := check.problem(line)) is not None:
            uncounted.append(problem)
        else:
            records.append(line)
    return records, (*bad_line_notes(bad), *_uncounted_notes(uncounted))


def _uncounted_notes(problems: Sequence[str]) -> tuple[str, ...]:
    if not problems:
        return ()
    shown = "; ".join(problems[:_SHOWN_BAD_LINES])
    return (f"Left out, as they do not count: {len(problems)} lines of the results ({shown}).",)


def _coverage_notes(records: Iterable[Record]) -> tuple[str, ...]:
    """Return a sentence per part of the plans that is not there."""
    coverage = Coverage(records)
    damage = coverage.damage()
    told = () if damage is None else (f"Lines are gone from the results: {damage}.",)
    return (*told, *(f"Not measured: {line}." for line in missing_lines(coverage.missing())))


def bad_line_notes(bad: Sequence[BadLine]) -> tuple[str, ...]:
    """Return one sentence on the lines that are not on the page; none without such lines."""
    if not bad:
        return ()
    shown = "; ".join(f"line {each.number}: {each.reason}" for each in bad[:_SHOWN_BAD_LINES])
    more = len(bad) - _SHOWN_BAD_LINES
    return (
        f"Left out, as no records: {len(bad)} lines of the results file ({shown}"
        f"{f'; and {more} more' if more > 0 else ''}).",
    )


def write_page(path: Path, html: str) -> None:
    """Write the page at once or not at all.

    Raises:
        DestinationError: the folder is missing or cannot be written.
    """
    try:
        save_text(path, html)
    except DestinationError as error:
        raise DestinationError(f"{error}; change -o") from error
