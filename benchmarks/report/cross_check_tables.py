"""Other tools' figures and counted memory traffic as tables of the page, beside our own. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cnn_export.benchmarks.report.tables import Cell, Table
from cnn_export.benchmarks.results.cross_check_rows import (
    OpinionRow,
    TrafficRow,
    opinion_rows,
    traffic_rows,
)
from cnn_export.benchmarks.results.series import Results
from cnn_export.benchmarks.tables.quantities import milliseconds, quantity

_NONE = "–"  # noqa: RUF001


def cross_check_tables(results: Results) -> tuple[Table | None, Table | None]:
    """Return the other tools' figures and the traffic; ``None`` for what nobody asked for."""
    return opinion_table(opinion_rows(results)), traffic_table(traffic_rows(results))


def opinion_table(rows: Sequence[OpinionRow]) -> Table | None:
    """Return a row per opinion; ``None`` without any."""
    headings = (
        "artifact", "device", "threads", "tool", "figure", "inferences", "its time", "our time",
        "difference",
    )  # fmt: skip
    caption = "A cross-check is the tool's own figure: other inputs, another warm-up, one process."
    return Table(headings, tuple(map(_opinion_row, rows)), caption) if rows else None


def _opinion_row(row: OpinionRow) -> tuple[Cell, ...]:
    difference = row.difference_percent
    return (
        Cell(row.artifact.name),
        Cell(row.device),
        Cell(str(row.opinion.threads), "n"),
        Cell(row.opinion.tool),
        Cell(row.figure),
        Cell(f"{row.opinion.count:,}", "n"),
        Cell(f"{milliseconds(row.theirs_ns)} ms", "n"),
        Cell(_NONE if row.ours_ns is None else f"{milliseconds(row.ours_ns)} ms", "n"),
        Cell(_NONE if difference is None else f"{difference:+.1f} %", "n"),
    )


def traffic_table(rows: Sequence[TrafficRow]) -> Table | None:
    """Return a row per artifact and threads, a column per level; ``None`` without any."""
    levels = list(dict.fromkeys(level for row in rows for level in row.moved_bytes))
    counted = (f"counted at {level}" for level in levels)
    headings = ("artifact", "device", "threads", "memory access (file)", *counted, "remark")
    caption = "Bytes per inference."
    return (
        Table(headings, tuple(_traffic_row(row, levels) for row in rows), caption) if rows else None
    )


def _traffic_row(row: TrafficRow, levels: Sequence[str]) -> tuple[Cell, ...]:
    moved = row.moved_bytes
    return (
        Cell(row.artifact.name),
        Cell(row.device),
        Cell(str(row.traffic.threads), "n"),
        Cell(quantity(row.artifact.mac_bytes, "B"), "n"),
        *(Cell(quantity(moved[level], "B") if level in moved else _NONE, "n") for level in levels),
        Cell(f"not counted: {row.traffic.reason}" if row.traffic.reason else ""),
    )
