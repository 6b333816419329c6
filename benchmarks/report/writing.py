"""From files to the page: read, judge, render, write."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cnn_export.atomic_commit import save_text
from cnn_export.benchmarks.cost.reading import read_costs
from cnn_export.benchmarks.profiles.document import read_profile
from cnn_export.benchmarks.report.cross_check_tables import cross_check_tables
from cnn_export.benchmarks.report.judging import budget_rows
from cnn_export.benchmarks.report.numbered import numbered
from cnn_export.benchmarks.report.page import Inputs, render
from cnn_export.benchmarks.results.plan.missing import missing_lines
from cnn_export.benchmarks.results.read_series import read_results
from cnn_export.benchmarks.results.results_file import BadLine
from cnn_export.benchmarks.results.series import Results
from cnn_export.errors import DestinationError, InputRefused

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
    results = read_results(sources.results, lenient=sources.budgets is None)
    if not results.timed and not results.pairs:
        raise InputRefused(f"{sources.results}: holds no times; run cnn-bench run first")
    notes, rows = results_notes(results), None
    if sources.budgets is not None:
        rows, unmatched = budget_rows(results, sources.budgets)
        notes += unmatched
    opinions, traffic = cross_check_tables(results)
    return render(
        Inputs(
            shown=numbered(results),
            title=sources.results.name,
            notes=notes,
            budgets=rows,
            profiles=tuple(map(read_profile, sources.profiles)),
            costs=tuple(read_costs(sources.artifacts)),
            opinions=opinions,
            traffic=traffic,
        )
    )


def results_notes(results: Results) -> tuple[str, ...]:
    """Return what the page says about lines that are not on it, and parts that are not there."""
    removed = results.removed_lines
    told = () if removed is None else (f"Lines are gone from the results: {removed}.",)
    return (
        *bad_line_notes(results.bad_lines),
        *_uncounted_notes(results.uncounted),
        *told,
        *(f"Not measured: {line}." for line in missing_lines(results.missing)),
    )


def _uncounted_notes(problems: Sequence[str]) -> tuple[str, ...]:
    if not problems:
        return ()
    shown = "; ".join(problems[:_SHOWN_BAD_LINES])
    return (f"Left out, as they do not count: {len(problems)} lines of the results ({shown}).",)


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
