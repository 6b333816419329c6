"""Tables of cross-checks and memory traffic, for the end of ``cnn-bench run``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cnn_export.benchmarks.results.cross_check_rows import (
    OpinionRow,
    TrafficRow,
    opinion_rows,
    traffic_rows,
)
from cnn_export.benchmarks.results.series import Results
from cnn_export.command_line.terminal import printable

_NS_PER_MS = 1e6
_MILLION = 1e6
_LEFT = ("artifact", "device", "tool", "figure")


def render(results: Results) -> list[RenderableType]:
    """Return the tables, as far as there is something to show, with their footnotes."""
    opinions, traffic = opinion_rows(results), traffic_rows(results)
    counted = [row for row in traffic if row.traffic.levels]
    parts: list[RenderableType] = []
    if opinions:
        parts += [_opinion_table(opinions), Text(_NOT_OURS), ""]
    if counted:
        parts += [_traffic_table(counted), ""]
    reasons = {row.traffic.reason: None for row in traffic if row.traffic.reason}
    parts += [Text(f"memory traffic was not counted: {printable(each)}.") for each in reasons]
    return parts


_NOT_OURS = "A cross-check is the tool's own figure: other inputs, another warm-up, one process."


def _opinion_table(rows: Sequence[OpinionRow]) -> Table:
    several = len({row.device for row in rows}) > 1
    headings = ("artifact", "threads", "tool", "figure", "inferences", "its ms", "our ms")
    table = _table("Cross-check", ("device", *headings) if several else headings, "difference")
    for row in rows:
        cells = [
            row.artifact.name,
            str(row.opinion.threads),
            row.opinion.tool,
            row.figure,
            str(row.opinion.count),
            _milliseconds(row.theirs_ns),
            "" if row.ours_ns is None else _milliseconds(row.ours_ns),
            "" if row.difference_percent is None else f"{row.difference_percent:+.1f} %",
        ]
        table.add_row(*map(_cell, [row.device, *cells] if several else cells))
    return table


def _traffic_table(rows: Sequence[TrafficRow]) -> Table:
    several = len({row.device for row in rows}) > 1
    levels = list(dict.fromkeys(level for row in rows for level in row.moved_bytes))
    headings = ("artifact", "threads", "MB moved (file)")
    title = "Memory traffic per inference"
    counted = [f"MB@{level}" for level in levels]
    table = _table(title, ("device", *headings) if several else headings, *counted)
    for row in rows:
        cells = [row.artifact.name, str(row.traffic.threads), _millions(row.artifact.mac_bytes)]
        cells += [_millions(row.moved_bytes.get(level)) for level in levels]
        table.add_row(*map(_cell, [row.device, *cells] if several else cells))
    return table


def _cell(text: str) -> Text:
    """Return a cell that is no markup and no terminal command: names come from files and phones."""
    return Text(printable(text))


def _table(title: str, headings: Sequence[str], *more: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in (*headings, *more):
        left = heading in _LEFT
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    return table


def _milliseconds(ns: float) -> str:
    return f"{ns / _NS_PER_MS:.3f}"


def _millions(count: float | None) -> str:
    return "" if count is None else f"{count / _MILLION:.1f}"
