"""Comparisons inside processes: a dot per process, the interval of their median, the limits."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

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
from cnn_export.benchmarks.report.numbered import NumberedPair
from cnn_export.benchmarks.statistics.comparison import verdict_words

_ROW = 46
_LEFT = 14
_NAME_EMS = 11.0
"""Two names and a verdict share the width, at the font size of a phone."""


def ratios(pairs: Sequence[NumberedPair]) -> tuple[str, str] | None:
    """Return the chart of all comparisons, new over base; ``None`` without any."""
    if not pairs:
        return None
    bottom = TOP + len(pairs) * _ROW
    chart = drawing(bottom + BOTTOM, "Ratio of times per process, second over first artifact")
    shown = [ratio for pair in pairs for ratio in _shown(pair)]
    axis = fitted(shown, _LEFT, WIDTH - RIGHT)
    horizontal_axis(chart, axis, TOP, bottom, "time of the second / time of the first")
    for index, pair in enumerate(pairs):
        _row(chart, axis, pair, TOP + index * _ROW)
    effect = 100 * pairs[0].paired.comparison.minimum_effect
    return markup(chart), (
        f"A dot is one process, the bar the interval of their median. The grey band is ±{effect:g} "
        "%, the smallest effect that counts."
    )


def _shown(pair: NumberedPair) -> list[float]:
    comparison = pair.paired.comparison
    limit = 1 + comparison.minimum_effect
    return [
        *comparison.process_ratios,
        comparison.ratio.low,
        comparison.ratio.high,
        limit,
        1 / limit,
    ]


def _row(chart: Element, axis: Axis, pair: NumberedPair, top: float) -> None:
    comparison = pair.paired.comparison
    limit = 1 + comparison.minimum_effect
    start, end = axis(1 / limit), axis(limit)
    add(chart, "rect", x=start, y=top + 18, width=round(end - start, 2), height=22, class_="band")
    line(chart, (axis(1.0), top + 16, axis(1.0), top + 42), "one")
    name = f"{pair.new.name} / {pair.base.name}: {verdict_words(comparison)}"
    names = [shortened(each.name, _NAME_EMS) for each in (pair.new, pair.base)]
    label(chart, (_LEFT, top + 12), f"{' / '.join(names)}: {comparison.verdict}")
    group = add(chart, "g", class_="s1")
    titled(group, name)
    middle = top + 29
    low, value, high = (axis(r) for r in _interval(pair))
    line(group, (low, middle, high, middle), "bar")
    line(group, (value, middle - 9, value, middle + 9), "bar")
    for ratio in comparison.process_ratios:
        add(group, "circle", cx=axis(ratio), cy=middle, r=2.5, class_="dot")


def _interval(pair: NumberedPair) -> tuple[float, float, float]:
    ratio = pair.paired.comparison.ratio
    return ratio.low, ratio.value, ratio.high
