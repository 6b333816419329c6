"""All samples of one artifact: a row per process, cells as dark as inferences are many."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from cnn_export.benchmarks.report.charts.axes import Axis, fitted
from cnn_export.benchmarks.report.charts.svg import (
    BOTTOM,
    COLOURS,
    LEFT,
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
from cnn_export.benchmarks.report.downsampling import every_kth
from cnn_export.benchmarks.report.numbered import Numbered
from cnn_export.benchmarks.results.series import Process, Series
from cnn_export.benchmarks.tables.quantities import NS_PER_MS, milliseconds

CELLS = 96
ROWS_MAX = 40
SHADES = 5
_SHOWN_QUANTILE = 0.97
_ROW, _GAP = 9, 2


def distribution(one: Numbered) -> tuple[str, str]:
    """Return the chart and the sentence below it, which tells what is not in it."""
    series = one.series
    rows = every_kth(series.processes, ROWS_MAX)
    axis = _axis(series)
    bottom = TOP + len(rows) * (_ROW + _GAP)
    chart = drawing(bottom + BOTTOM, f"Distribution of {series.artifact.name}, a row per process")
    _interval(chart, axis, series, bottom)
    horizontal_axis(chart, axis, TOP, bottom, "ms per inference")
    label(chart, (2, TOP - 4), "process", style="t axis")
    for index, process in enumerate(rows):
        _row(chart, axis, process, TOP + index * (_ROW + _GAP), one.number)
    return markup(chart), _caption(series, axis, len(rows))


def _axis(series: Series) -> Axis:
    lows = [float(process.times_ns.min()) for process in series.processes]
    highs = [float(np.quantile(p.times_ns, _SHOWN_QUANTILE)) for p in series.processes]
    medians = [process.median_ns for process in series.processes]
    shown = [min(lows), *medians, float(np.quantile(highs, 0.9))]
    return fitted([value / NS_PER_MS for value in shown], LEFT, WIDTH - RIGHT)


def _interval(chart: Element, axis: Axis, series: Series, bottom: float) -> None:
    p50 = series.summary.p50
    low, value, high = (axis(ns / NS_PER_MS) for ns in (p50.low, p50.value, p50.high))
    width = round(max(1.0, high - low), 2)
    box = add(chart, "rect", x=low, y=TOP, width=width, height=bottom - TOP, class_="band")
    titled(box, f"interval of the median, {100 * p50.confidence:.1f} %")
    line(chart, (value, TOP - 4, value, bottom), "median")


def _row(chart: Element, axis: Axis, process: Process, y: float, number: int) -> None:
    shades = _cells(axis, process)
    row = add(chart, "g", class_=f"s{number % COLOURS}")
    words = f"process at position {process.position}: {len(process.times_ns)} inferences"
    titled(row, f"{words}, median {milliseconds(process.median_ns)} ms")
    width = (axis.end - axis.start) / CELLS
    for shade in range(1, SHADES + 1):
        cells = [index for index, own in enumerate(shades) if own == shade]
        if cells:
            path = "".join(
                f"M{axis.start + cell * width:.1f} {y}h{width:.2f}v{_ROW}h-{width:.2f}z"
                for cell in cells
            )
            add(row, "path", d=path, class_=f"cell{shade}")
    middle = axis(process.median_ns / NS_PER_MS)
    line(row, (middle, y - 1, middle, y + _ROW + 1), "tick")
    label(chart, (LEFT - 6, y + _ROW), str(process.position), "end")


def _cells(axis: Axis, process: Process) -> Sequence[int]:
    """Return the shade of each cell, 0 for none; what is beyond the axis is in the end cells."""
    values = np.clip(process.times_ns / NS_PER_MS, axis.low, axis.high)
    if axis.logarithmic:
        edges = np.geomspace(axis.low, axis.high, CELLS + 1)
    else:
        edges = np.linspace(axis.low, axis.high, CELLS + 1)
    edges[0], edges[-1] = axis.low, axis.high
    counts, _ = np.histogram(values, edges)
    return [int(shade) for shade in np.ceil(SHADES * np.sqrt(counts / counts.max()))]


def _caption(series: Series, axis: Axis, rows: int) -> str:
    beyond = sum(int((p.times_ns > axis.high * NS_PER_MS).sum()) for p in series.processes)
    words = [
        f"{series.summary.samples} inferences in {series.summary.processes} processes, a row each: "
        "the darker a cell, the more of them. The tick is the process's median, the long line the "
        "median over processes, the band its interval."
    ]
    if beyond:
        slowest = max(int(process.times_ns.max()) for process in series.processes)
        words.append(
            f"{beyond} took longer than the axis, up to {milliseconds(slowest)} ms; "
            "they are in the last cell."
        )
    if rows < len(series.processes):
        words.append(f"Downsampled: {rows} of {len(series.processes)} processes are drawn.")
    return " ".join(words)
