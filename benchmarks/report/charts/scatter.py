"""Latency of all artifacts against a cost that the file alone determines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cnn_export.benchmarks.report.charts.axes import fitted
from cnn_export.benchmarks.report.charts.svg import (
    BOTTOM,
    COLOURS,
    LEFT,
    RIGHT,
    WIDTH,
    add,
    drawing,
    horizontal_axis,
    label,
    line,
    markup,
    titled,
    vertical_axis,
)
from cnn_export.benchmarks.report.numbered import Numbered
from cnn_export.benchmarks.results.record_types import Artifact
from cnn_export.benchmarks.tables.quantities import NS_PER_MS, interval_ms, milliseconds, quantity

_TOP, _HEIGHT = 18, 200
_MILLION = 1e6


def against_macs(series: Sequence[Numbered]) -> tuple[str, str] | None:
    """Return latency over multiply-accumulates; ``None`` where no artifact's are known."""
    return _scatter(series, lambda artifact: artifact.macs, "million MACs", "MACs")


def against_mac_bytes(series: Sequence[Numbered]) -> tuple[str, str] | None:
    """Return latency over memory access cost; ``None`` where no artifact's is known."""
    return _scatter(series, lambda artifact: artifact.mac_bytes, "memory access cost, MB", "B")


def _scatter(
    series: Sequence[Numbered],
    cost: Callable[[Artifact], int | None],
    title: str,
    unit: str,
) -> tuple[str, str] | None:
    known = [(one, float(value)) for one in series if (value := cost(one.series.artifact))]
    if not known:
        return None
    bottom = _TOP + _HEIGHT
    chart = drawing(bottom + BOTTOM, f"Latency against {title}")
    across = fitted([value / _MILLION for _, value in known], LEFT, WIDTH - RIGHT - 8)
    bounds = [b / NS_PER_MS for one, _ in known for b in _bounds(one)]
    up = fitted(bounds, bottom, _TOP)
    horizontal_axis(chart, across, _TOP, bottom, title)
    vertical_axis(chart, up, LEFT, WIDTH - RIGHT, "median, ms")
    for one, value in known:
        group = add(chart, "g", class_=f"s{one.number % COLOURS}")
        titled(group, _words(one, value, unit))
        x = across(value / _MILLION)
        low, middle, high = (up(bound / NS_PER_MS) for bound in _bounds(one))
        line(group, (x, low, x, high), "error")
        add(group, "circle", cx=x, cy=middle, r=4, class_="point")
        label(group, (x + 6, middle - 5), str(one.number))
    left_out = len(series) - len(known)
    caption = "Numbers are those of the table; vertical lines are the median's intervals."
    return markup(chart), caption + (f" {left_out} without this cost left out." if left_out else "")


def _bounds(one: Numbered) -> tuple[float, float, float]:
    p50 = one.series.summary.p50
    return p50.low, p50.value, p50.high


def _words(one: Numbered, value: float, unit: str) -> str:
    p50 = one.series.summary.p50
    return (
        f"{one.number} {one.name}: {quantity(value, unit)}, "
        f"{milliseconds(p50.value)} ms, {interval_ms(p50)}"
    )
