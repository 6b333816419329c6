"""The rows as a Markdown table: yes with a figure, or the reason below."""

from __future__ import annotations

from collections.abc import Sequence

from cnn_export.benchmarks.studies.field.rows import Cell, Row

_MILLION = 1e6


WALKED = ("checkpoint", "recognised as")


def markdown(rows: Sequence[Row], heads: tuple[str, str] = WALKED) -> str:
    """Return a table of all rows, and the reasons of what was refused as footnotes.

    ``heads`` stand over a row's file and network.
    """
    targets = sorted({target for row in rows for target in row.cells})
    head = [*heads, "M macs", *targets]
    reasons: list[str] = []
    lines = [_line(head), _line(["---"] * len(head))]
    for row in sorted(rows, key=lambda row: row.file):
        macs = "" if row.macs is None else f"{row.macs / _MILLION:.1f}"
        cells = [_cell(row.cells.get(target), reasons) for target in targets]
        lines.append(_line([row.file, row.network or "no", macs, *cells]))
    notes = [f"[{number}] {reason}" for number, reason in enumerate(reasons, start=1)]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def shares(rows: Sequence[Row]) -> str:
    """Return a table of each target: exported, whole in one partition, no more operators than bare.

    Of the exported; the last of those that the vendor's own call takes as well.
    """
    targets = sorted({target for row in rows for target in row.cells})
    head = ["target", "exported", "whole in one partition", "no more operators than the bare call"]
    lines = [_line(head), _line(["---"] * len(head)), *(_share(each, rows) for each in targets)]
    return "\n".join(lines) + "\n"


def _share(target: str, rows: Sequence[Row]) -> str:
    asked = [row.cells[target] for row in rows if target in row.cells]
    made = [cell for cell in asked if not cell.refusal]
    whole = [cell for cell in made if cell.partitions == 1 and not cell.outside]
    paired = [(c.operators, c.bare.operators) for c in made if c.bare and not c.bare.refusal]
    fewer = [ours for ours, bare in paired if ours is not None and ours <= bare]
    counts = ((made, asked), (whole, made), (fewer, paired))
    return _line([target, *(f"{len(some)} of {len(all_)}" for some, all_ in counts)])


def _cell(cell: Cell | None, reasons: list[str]) -> str:
    """Write partitions, operators outside of them, and the largest relative error."""
    if cell is None:
        return "not asked"
    if cell.refusal:
        if cell.refusal not in reasons:
            reasons.append(cell.refusal)
        return f"no [{reasons.index(cell.refusal) + 1}]{_bare_alone(cell)}"
    error = "" if cell.relative_error is None else f"{cell.relative_error:.1e}"
    return ", ".join(filter(None, [partitions(cell), error, _operators(cell)])) or "yes"


def partitions(cell: Cell) -> str:
    """Return the partitions of a file and the operators outside, or why there is no file."""
    if cell.refusal:
        return f"no: {cell.refusal}"
    parts = "" if cell.partitions is None else f"{cell.partitions} part."
    return f"{parts}, {cell.outside} outside" if cell.outside else parts


def _bare_alone(cell: Cell) -> str:
    """Say that the vendor's own call makes a file, of whatever answers, where there is none."""
    if cell.bare is None or cell.bare.refusal:
        return ""
    return f" (bare {cell.bare.operators} op.)"


def _operators(cell: Cell) -> str:
    """Write the operators against the vendor's own call, where that was asked."""
    if cell.bare is None:
        return ""
    if cell.bare.refusal:
        return f"{cell.operators} op. (bare none)"
    return f"{cell.operators} op. (bare {cell.bare.operators})"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
