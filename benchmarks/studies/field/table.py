"""The rows as a Markdown table: yes with a figure, or the reason below."""

from __future__ import annotations

from collections.abc import Sequence

from cnn_export.benchmarks.studies.field.rows import Cell, Row

_MILLION = 1e6


def markdown(rows: Sequence[Row]) -> str:
    """Return a table of all rows, and the reasons of what was refused as footnotes."""
    targets = sorted({target for row in rows for target in row.cells})
    head = ["checkpoint", "recognised as", "M macs", *targets]
    reasons: list[str] = []
    lines = [_line(head), _line(["---"] * len(head))]
    for row in sorted(rows, key=lambda row: row.file):
        macs = "" if row.macs is None else f"{row.macs / _MILLION:.1f}"
        cells = [_cell(row.cells.get(target), reasons) for target in targets]
        lines.append(_line([row.file, row.network or "no", macs, *cells]))
    notes = [f"[{number}] {reason}" for number, reason in enumerate(reasons, start=1)]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _cell(cell: Cell | None, reasons: list[str]) -> str:
    """Write partitions, operators outside of them, and the largest relative error."""
    if cell is None:
        return "not asked"
    if cell.refusal:
        if cell.refusal not in reasons:
            reasons.append(cell.refusal)
        return f"no [{reasons.index(cell.refusal) + 1}]"
    parts = "" if cell.partitions is None else f"{cell.partitions} part."
    outside = f"{cell.outside} outside" if cell.outside else ""
    error = "" if cell.relative_error is None else f"{cell.relative_error:.1e}"
    return ", ".join(filter(None, [parts, outside, error])) or "yes"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
