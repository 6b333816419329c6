"""Times in the order they were taken, above clock and temperature of the same moments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

from cnn_export.benchmarks.report.charts.axes import Axis, fitted
from cnn_export.benchmarks.report.charts.svg import (
    COLOURS,
    LEFT,
    RIGHT,
    TOP,
    add,
    drawing,
    horizontal_axis,
    label,
    line,
    markup,
    titled,
    vertical_axis,
)
from cnn_export.benchmarks.report.downsampling import Bucket, buckets, every_kth
from cnn_export.benchmarks.report.numbered import Numbered
from cnn_export.benchmarks.results.record_types import Conditions
from cnn_export.benchmarks.results.series import Process
from cnn_export.benchmarks.tables.quantities import milliseconds

WIDTH = 720
BUCKETS_MAX = 360
_HEIGHT, _PANEL, _SPACE = 190, 70, 40
_RATIO_LOW, _RATIO_HIGH = 0.5, 3.0
"""Relative times beyond these are drawn at the edge."""
_READING_MIN = 2.0
"""User units that a reading of clock or temperature is wide at least."""


@dataclasses.dataclass(frozen=True)
class _Stretch:
    """One process on the common time axis, seconds."""

    one: Numbered
    process: Process
    start_s: float

    @property
    def end_s(self) -> float:
        return self.start_s + float(self.process.times_ns.sum()) / 1e9


_Reading = Callable[[Conditions], Sequence[float]]
_PANELS: tuple[tuple[str, _Reading], ...] = (
    ("clock, GHz", lambda conditions: [khz / 1e6 for khz in conditions.clock_khz]),
    ("temperature, °C", lambda conditions: conditions.temperature_c),
)


def timeline(series: Sequence[Numbered], run_id: str) -> tuple[str, str]:
    """Return one run's chart and the sentences below it."""
    stretches = _laid_out(series, run_id)
    drawn = every_kth(stretches, BUCKETS_MAX)
    per_process = max(1, BUCKETS_MAX // max(1, len(drawn)))
    panels = [(name, read) for name, read in _PANELS if any(map(read, _conditions(stretches)))]
    height = TOP + _HEIGHT + len(panels) * (_PANEL + _SPACE) + 40
    chart = drawing(height, "Relative time of inferences over the run", WIDTH)
    across = fitted([0.0, stretches[-1].end_s], LEFT, WIDTH - RIGHT, from_zero=True)
    across = dataclasses.replace(across, high=stretches[-1].end_s or 1.0)
    _times(chart, across, drawn, per_process)
    top = TOP + _HEIGHT + _SPACE
    for name, read in panels:
        _panel(chart, across, stretches, (name, read), top)
        top += _PANEL + _SPACE
    horizontal_axis(chart, across, TOP, top - _SPACE, "timed seconds, processes in their order")
    return markup(chart), _caption(stretches, drawn, [name for name, _ in panels])


def _laid_out(series: Sequence[Numbered], run_id: str) -> list[_Stretch]:
    own = [(one, p) for one in series for p in one.series.processes if p.run_id == run_id]
    stretches: list[_Stretch] = []
    start_s = 0.0
    for one, process in sorted(own, key=lambda each: each[1].position):
        stretches.append(_Stretch(one, process, start_s))
        start_s = stretches[-1].end_s
    return stretches


def _conditions(stretches: Sequence[_Stretch]) -> list[Conditions]:
    return [stretch.process.conditions for stretch in stretches]


def _times(chart: Element, across: Axis, stretches: Sequence[_Stretch], per_process: int) -> None:
    parts = [(s, buckets(s.process.times_ns, per_process, s.start_s)) for s in stretches]
    up = _ratio_axis(parts)
    vertical_axis(chart, up, LEFT, WIDTH - RIGHT, "time / the artifact's own median")
    line(chart, (LEFT, up(1.0), WIDTH - RIGHT, up(1.0)), "one")
    for stretch, found in parts:
        group = add(chart, "g", class_=f"s{stretch.one.number % COLOURS}")
        titled(
            group,
            f"{stretch.one.number} {stretch.one.name}, "
            f"median {milliseconds(stretch.process.median_ns)} ms",
        )
        _process_marks(group, across, up, stretch, found)


def _ratio_axis(parts: Sequence[tuple[_Stretch, list[Bucket]]]) -> Axis:
    ratios = [
        min(max(bound / stretch.one.series.summary.p50.value, _RATIO_LOW), _RATIO_HIGH)
        for stretch, found in parts
        for bucket in found
        for bound in (bucket.low_ns, bucket.high_ns)
    ]
    return fitted([1.0, *ratios], TOP + _HEIGHT, TOP)


def _process_marks(
    group: Element, across: Axis, up: Axis, stretch: _Stretch, found: Sequence[Bucket]
) -> None:
    own = stretch.one.series.summary.p50.value or 1.0
    before_s = stretch.start_s
    whiskers: list[str] = []
    medians: list[str] = []
    for bucket in found:
        x = across((before_s + bucket.until_s) / 2)
        whiskers.append(f"M{x} {up(bucket.low_ns / own)}V{up(bucket.high_ns / own)}")
        medians.append(f"M{x - 1.5:.1f} {up(bucket.median_ns / own)}h3")
        before_s = bucket.until_s
    add(group, "path", d="".join(whiskers), class_="whisker")
    add(group, "path", d="".join(medians), class_="mark")


def _panel(
    chart: Element,
    across: Axis,
    stretches: Sequence[_Stretch],
    panel: tuple[str, _Reading],
    top: float,
) -> None:
    name, read = panel
    values = [value for each in _conditions(stretches) for value in read(each)]
    up = fitted(values, top + _PANEL, top)
    vertical_axis(chart, up, LEFT, WIDTH - RIGHT, name)
    for stretch in stretches:
        readings = every_kth(read(stretch.process.conditions), 40)
        step_s = (stretch.end_s - stretch.start_s) / max(1, len(readings))
        width = max(_READING_MIN, across(stretch.start_s + step_s) - across(stretch.start_s))
        points = "".join(
            f"M{across(stretch.start_s + i * step_s):.1f} {up(value)}h{width:.1f}"
            for i, value in enumerate(readings)
        )
        if points:
            add(chart, "path", d=points, class_="reading")
    if not values:
        label(chart, (LEFT, top + 20), "none recorded")


def _caption(
    stretches: Sequence[_Stretch], drawn: Sequence[_Stretch], panels: Sequence[str]
) -> str:
    total = sum(len(stretch.process.times_ns) for stretch in stretches)
    words = [
        f"{total} inferences of {len(stretches)} processes, downsampled to at most {BUCKETS_MAX} "
        "marks: a line spans the middle 80 % of neighbouring inferences, the dash is their median. "
        "Start-up and warm-up between processes are left out."
    ]
    if len(drawn) < len(stretches):
        words.append(f"{len(drawn)} of {len(stretches)} processes are drawn.")
    missing = [name for name, _ in _PANELS if name not in panels]
    if missing:
        words.append(f"Not recorded in this run: {' and '.join(missing)}.")
    return " ".join(words)
