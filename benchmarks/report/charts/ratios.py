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
from cnn_export.benchmarks.report.measured import Duel
from cnn_export.benchmarks.statistics.comparison import verdict_words

_ROW = 46
_LEFT = 14
_NAME_EMS = 11.0
"""Two names and a verdict share the width, at the font size of a phone."""


def ratios(duels: Sequence[Duel]) -> tuple[str, str] | None:
    """Return the chart of all comparisons, time of b over time of a; ``None`` without any."""
    if not duels:
        return None
    bottom = TOP + len(duels) * _ROW
    chart = drawing(bottom + BOTTOM, "Ratio of times per process, second over first artifact")
    shown = [ratio for duel in duels for ratio in _shown(duel)]
    axis = fitted(shown, _LEFT, WIDTH - RIGHT)
    horizontal_axis(chart, axis, TOP, bottom, "time of the second / time of the first")
    for index, duel in enumerate(duels):
        _row(chart, axis, duel, TOP + index * _ROW)
    effect = 100 * duels[0].comparison.minimum_effect
    return markup(chart), (
        f"A dot is one process, the bar the interval of their median. The grey band is ±{effect:g} "
        "%, the smallest effect that counts."
    )


def _shown(duel: Duel) -> list[float]:
    comparison = duel.comparison
    limit = 1 + comparison.minimum_effect
    return [
        *comparison.process_ratios,
        comparison.ratio.low,
        comparison.ratio.high,
        limit,
        1 / limit,
    ]


def _row(chart: Element, axis: Axis, duel: Duel, top: float) -> None:
    comparison = duel.comparison
    limit = 1 + comparison.minimum_effect
    start, end = axis(1 / limit), axis(limit)
    add(chart, "rect", x=start, y=top + 18, width=round(end - start, 2), height=22, class_="band")
    line(chart, (axis(1.0), top + 16, axis(1.0), top + 42), "one")
    name = f"{duel.b.name} / {duel.a.name}: {verdict_words(comparison)}"
    names = [shortened(each.name, _NAME_EMS) for each in (duel.b, duel.a)]
    label(chart, (_LEFT, top + 12), f"{' / '.join(names)}: {comparison.verdict}")
    group = add(chart, "g", class_="s1")
    titled(group, name)
    middle = top + 29
    low, value, high = (axis(r) for r in _interval(duel))
    line(group, (low, middle, high, middle), "bar")
    line(group, (value, middle - 9, value, middle + 9), "bar")
    for ratio in comparison.process_ratios:
        add(group, "circle", cx=axis(ratio), cy=middle, r=2.5, class_="dot")


def _interval(duel: Duel) -> tuple[float, float, float]:
    ratio = duel.comparison.ratio
    return ratio.low, ratio.value, ratio.high
