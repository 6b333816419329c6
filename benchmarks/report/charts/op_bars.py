"""Operators of one artifact: time as measured, or work as counted from the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.benchmarks.profiles.document import OpTime, Profile, Roofline
from cnn_export.benchmarks.report.charts.axes import Axis, fitted
from cnn_export.benchmarks.report.charts.labels import shortened
from cnn_export.benchmarks.report.charts.svg import (
    BOTTOM,
    RIGHT,
    TOP,
    WIDTH,
    add,
    drawing,
    horizontal_axis,
    label,
    line,
    markup,
    titled,
)
from cnn_export.benchmarks.tables.quantities import NS_PER_MS, milliseconds, quantity

OPS_MAX = 25
_ROW = 17
_LEFT, _VALUES = 158, 92
"""Room for names and for figures, beside the bars."""
_NAME_EMS = 12.2
"""A name's width at the font size of a phone, 12 units."""


@dataclasses.dataclass(frozen=True)
class _Bar:
    """``roof`` is the least value that the device's measured roof allows; ``None``: not known."""

    name: str
    value: float
    text: str
    details: str
    roof: float | None = None


def time_bars(profile: Profile) -> tuple[str, str]:
    """Return the slowest operators by median time, each with its roof if that was measured."""
    timed = [op for op in profile.ops if op.median_ns > 0]
    ordered = sorted(timed, key=lambda op: -op.median_ns)
    bars = [_time_bar(op, profile.roofline) for op in ordered[:OPS_MAX]]
    rest = ordered[OPS_MAX:]
    words: list[str] = []
    if rest:
        rest_ms = milliseconds(sum(op.median_ns for op in rest))
        words.append(f"The {OPS_MAX} slowest; {len(rest)} more take {rest_ms} ms together.")
    if untimed := len(profile.ops) - len(timed):
        words.append(f"{untimed} show no time.")
    if any(bar.roof is not None for bar in bars):
        words.append("A line across a bar is the least time under the measured roof.")
    return _chart(bars, "ms per inference", profile.artifact), " ".join(words)


def _time_bar(op: OpTime, roof: Roofline | None) -> _Bar:
    share = None if roof is None else roof.share(op)
    rates = [
        quantity(op.macs, "MACs"),
        quantity(op.mac_bytes, "B"),
        quantity(op.mac_per_s, "MAC/s"),
        quantity(op.bytes_per_s, "B/s"),
    ]
    return _Bar(
        name=op.name,
        value=op.median_ns / NS_PER_MS,
        text=f"{milliseconds(op.median_ns)} ({100 * op.share:.0f} %)",
        details=f"{op.name} [{op.kind}]: {', '.join(rates)}",
        roof=None if share is None else share * op.median_ns / NS_PER_MS,
    )


def cost_bars(cost: ArtifactCost, quantity_name: str) -> tuple[str, str]:
    """Return the operators that cost most in ``quantity_name``: ``macs`` or ``mac_bytes``."""
    unit, title = _COSTS[quantity_name]
    values = [(op, float(getattr(op, quantity_name) or 0)) for op in cost.ops]
    ordered = sorted(values, key=lambda each: -each[1])
    total = sum(value for _, value in ordered) or 1.0
    bars = [
        _Bar(op.name, value / 1e6, f"{100 * value / total:.0f} %", _details(op.name, value, unit))
        for op, value in ordered[:OPS_MAX]
        if value
    ]
    rest = sum(value for _, value in ordered[OPS_MAX:])
    caption = f"The {OPS_MAX} largest; the others have {quantity(rest, unit)}." if rest else ""
    return _chart(bars, title, cost.name), caption


_COSTS = {"macs": ("MACs", "million MACs"), "mac_bytes": ("B", "memory access cost, MB")}


def _details(name: str, value: float, unit: str) -> str:
    return f"{name}: {quantity(value, unit)}"


def _chart(bars: Sequence[_Bar], title: str, artifact: str) -> str:
    bottom = TOP + max(1, len(bars)) * _ROW
    chart = drawing(bottom + BOTTOM, f"Operators of {artifact}: {title}")
    end = WIDTH - RIGHT - _VALUES
    axis = fitted([bar.value for bar in bars] or [0.0], _LEFT, end, from_zero=True)
    horizontal_axis(chart, axis, TOP, bottom, title)
    for index, bar in enumerate(bars):
        _draw(chart, axis, bar, TOP + index * _ROW)
    return markup(chart)


def _draw(chart: Element, axis: Axis, bar: _Bar, y: float) -> None:
    width = max(0.5, round(axis(bar.value) - axis.start, 2))
    group = add(chart, "g", class_="s1")
    titled(group, bar.details)
    label(group, (_LEFT - 6, y + 12), shortened(bar.name, _NAME_EMS), "end")
    add(group, "rect", x=axis.start, y=y + 2, width=width, height=_ROW - 4, class_="fill")
    label(group, (axis.start + width + 4, y + 12), bar.text)
    if bar.roof is not None and bar.roof <= bar.value:
        x = axis(bar.roof)
        line(group, (x, y, x, y + _ROW - 1), "least")
