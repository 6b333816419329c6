"""Costs as tables for a person, or as one JSON document."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost, OpCost
from cnn_export.benchmarks.cost.roofline import Peaks, bound_of
from cnn_export.command_line.console import result_console
from cnn_export.command_line.terminal import printable

_MILLION = 1e6
_GIGA = 1e9
_FILE_WIDTH = 4096
"""Columns of output that goes to a file or pipe, where nothing needs folding."""
_UNKNOWN = "?"


def document(costs: Sequence[ArtifactCost], peaks: Peaks | None, *, per_op: bool) -> str:
    """Return one JSON document: ``artifacts`` with their totals, and ``roofline`` if measured."""
    artifacts = [cost.document(per_op=per_op) for cost in costs]
    content: dict[str, Any] = {"artifacts": artifacts}
    if peaks is not None:
        content["roofline"] = dataclasses.asdict(peaks) | {"device": "host"}
        for artifact, cost in zip(artifacts, costs, strict=True):
            artifact["lower_bound_ms"] = _lower_bound_ms(cost, peaks)
            for entry, op in zip(artifact.get("ops", ()), cost.ops, strict=False):
                bound = bound_of(op, peaks)
                entry["roof"] = bound.roof
                entry["lower_bound_ms"] = bound.lower_bound_ms
    return json.dumps(content, indent=2)


def show(costs: Sequence[ArtifactCost], peaks: Peaks | None, *, per_op: bool) -> None:
    """Print totals side by side, operators if asked, and what the figures leave out."""
    console = result_console(width=_FILE_WIDTH, soft_wrap=True)
    if per_op:
        for cost in costs:
            console.print(_per_op(cost, peaks))
            console.print()
    console.print(_totals(costs, peaks))
    for line in _footnotes(costs, peaks):
        console.print(line, markup=False, highlight=False)


def _totals(costs: Sequence[ArtifactCost], peaks: Peaks | None) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("file")
    table.add_column("format")
    titles = ["batch", "ops", "M macs", "mac_bytes MB", "weights MB", "peak activations MB"]
    for title in [*titles, "macs/byte", *(["lower bound ms"] if peaks else [])]:
        table.add_column(title, justify="right")
    for cost in costs:
        bound = [f"{_lower_bound_ms(cost, peaks):.3f}"] if peaks else []
        macs = _millions(cost.macs, 2) if cost.macs is not None else _at_least(cost)
        table.add_row(
            Text(printable(cost.name)),
            cost.format,
            str(cost.batch),
            str(len(cost.ops)),
            macs,
            _millions(cost.mac_bytes, 2),
            _millions(cost.weight_bytes, 2),
            _millions(cost.peak_activation_bytes, 2),
            _ratio(cost.arithmetic_intensity),
            *bound,
        )
    return table


def _per_op(cost: ArtifactCost, peaks: Peaks | None) -> Table:
    table = Table(title=Text(printable(cost.name)), title_justify="left", box=None, pad_edge=False)
    for title in ("op", "kind", "dtype"):
        table.add_column(title)
    titles = ["M macs", "mac_bytes kB", "input", "weights", "output", "macs/byte"]
    for title in [*titles, *(["bound", "ms"] if peaks else [])]:
        table.add_column(title, justify="right")
    for op in cost.ops:
        kilobytes = (op.mac_bytes, op.input_bytes, op.weight_bytes, op.output_bytes)
        table.add_row(
            Text(printable(op.name)),
            Text(printable(op.kind)),
            op.dtype,
            _millions(op.macs, 3),
            *(f"{value / 1e3:,.1f}" for value in kilobytes),
            _ratio(op.arithmetic_intensity),
            *(_bound_cells(op, peaks) if peaks else ()),
        )
    return table


def _bound_cells(op: OpCost, peaks: Peaks) -> tuple[str, str]:
    bound = bound_of(op, peaks)
    return bound.roof, f"{bound.lower_bound_ms:.4f}"


def _lower_bound_ms(cost: ArtifactCost, peaks: Peaks) -> float:
    return sum(bound_of(op, peaks).lower_bound_ms for op in cost.ops)


def _footnotes(costs: Sequence[ArtifactCost], peaks: Peaks | None) -> list[str]:
    lines = [
        f"{printable(cost.name)}: macs of {', '.join(map(printable, cost.unknown_ops))} are not "
        "known; their bytes are counted"
        for cost in costs
        if cost.unknown_ops
    ]
    lines += [_in_int8(cost) for cost in costs if cost.int8_macs]
    if peaks is not None:
        lines += [
            f"This host, {peaks.threads} thread(s), not a phone: "
            f"{peaks.macs_per_s / _GIGA:.1f} G macs/s ({peaks.arithmetic_kernel}); "
            f"{peaks.bytes_per_s / _GIGA:.1f} GB/s ({peaks.bandwidth_kernel})",
            "Lower bounds are float32's, with nothing kept in a cache between operators; "
            "narrower operators are bounded by memory alone",
        ]
    return lines


def _in_int8(cost: ArtifactCost) -> str:
    share = cost.int8_macs / cost.counted_macs
    islands = ", ".join(f"{count} {printable(kind)}" for kind, count in cost.float_islands.items())
    between = f"in float between them: {islands}" if islands else "nothing in float between them"
    return f"{printable(cost.name)}: {share:.1%} of macs in 8-bit integers; {between}"


def _at_least(cost: ArtifactCost) -> str:
    return f"≥ {_millions(cost.counted_macs, 2)}"


def _millions(value: int | None, digits: int) -> str:
    return _UNKNOWN if value is None else f"{value / _MILLION:,.{digits}f}"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"  # noqa: RUF001 - an en dash marks "none"
