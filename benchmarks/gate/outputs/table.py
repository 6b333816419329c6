"""The gate on a terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from cnn_export.benchmarks.gate.judge import STATUSES, Judgement, Verdict
from cnn_export.benchmarks.gate.outputs.wording import limit_text, measured_text, remark
from cnn_export.command_line.terminal import printable

_STYLES = {"met": "green", "missed": "bold red", "undecided": "yellow"}


def table_of(verdict: Verdict) -> Table:
    """Return one row per bound, in the order of the budgets, totals below."""
    table = Table(box=None, pad_edge=False, caption_justify="left")
    for heading in ("artifact", "bound"):
        table.add_column(heading, overflow="fold")
    for heading in ("limit", "measured"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("", overflow="fold")
    for judgement in verdict.judgements:
        table.add_row(*_cells(judgement))
    table.caption = totals(verdict)
    return table


def totals(verdict: Verdict) -> str:
    """Return ``2 missed, 1 undecided, 5 met``."""
    return ", ".join(f"{verdict.count(each)} {each}" for each in STATUSES)


def _cells(judgement: Judgement) -> list[str]:
    style = _STYLES[judgement.status]
    return [
        escape(printable(judgement.candidate.label)),
        judgement.bound,
        limit_text(judgement),
        measured_text(judgement),
        f"[{style}]{judgement.status}[/]",
        escape(printable(remark(judgement))),
    ]
