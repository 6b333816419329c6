"""Operators under the device's roof: rate against arithmetic intensity.

Williams, Waterman and Patterson, *Roofline* (CACM 52:4, 2009): attainable rate =
min(peak rate, intensity · bandwidth), here in multiply-accumulates per second and per byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from cnn_export.benchmarks.profiles.document import OpTime, Profile, Roofline
from cnn_export.benchmarks.report.charts.axes import Axis, fitted
from cnn_export.benchmarks.report.charts.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    WIDTH,
    add,
    drawing,
    horizontal_axis,
    label,
    markup,
    titled,
    vertical_axis,
)
from cnn_export.benchmarks.tables.quantities import quantity

_TOP, _HEIGHT = 18, 220
_GIGA = 1e9
_NAMED = 3
"""Slowest operators whose dots have numbers: names would cover one another."""
_Point = tuple[OpTime, float, float]
"""Operator, MACs per byte, GMAC/s."""


def roofline(profile: Profile) -> tuple[str, str] | None:
    """Return the chart; ``None`` where no operator has both macs and bytes."""
    points = _points(profile)
    if not points:
        return None
    roof = profile.roofline
    bottom = _TOP + _HEIGHT
    chart = drawing(bottom + BOTTOM, f"Roofline of {profile.artifact}")
    across = fitted(_intensities(points, roof), LEFT, WIDTH - RIGHT)
    up = fitted(_rates(points, roof, across), bottom, _TOP)
    horizontal_axis(chart, across, _TOP, bottom, "MACs per byte")
    vertical_axis(chart, up, LEFT, WIDTH - RIGHT, "GMAC/s")
    if roof is not None:
        _roof(chart, across, up, roof)
    for op, intensity, rate in points:
        _point(chart, (across(intensity), up(rate)), op, roof, intensity)
    largest = sorted(points, key=lambda point: -point[0].median_ns)[:_NAMED]
    for number, (_, intensity, rate) in enumerate(largest, start=1):
        _number(chart, (across(intensity), up(rate)), number)
    names = [f"{number} {op.name}" for number, (op, _, _) in enumerate(largest, start=1)]
    return markup(chart), f"{', '.join(names)}. {_caption(profile, points)}"


def _number(chart: Element, at: tuple[float, float], number: int) -> None:
    """Write a number beside a dot, on the side that is inside the chart."""
    left = at[0] > WIDTH - RIGHT - 20
    label(chart, (at[0] + (-8 if left else 8), at[1] - 5), str(number), "end" if left else "start")


def _points(profile: Profile) -> list[_Point]:
    return [
        (op, op.macs / op.mac_bytes, op.mac_per_s / _GIGA)
        for op in profile.ops
        if op.macs and op.mac_bytes and op.mac_per_s
    ]


def _intensities(points: Sequence[_Point], roof: Roofline | None) -> list[float]:
    knee = [] if roof is None else [roof.mac_per_s / roof.bytes_per_s]
    return [*(intensity for _, intensity, _ in points), *knee]


def _rates(points: Sequence[_Point], roof: Roofline | None, across: Axis) -> list[float]:
    rates = [rate for _, _, rate in points]
    if roof is None:
        return rates
    return [*rates, roof.mac_per_s / _GIGA, roof.attainable(across.low) / _GIGA]


def _roof(chart: Element, across: Axis, up: Axis, roof: Roofline) -> None:
    # Both axes may be linear, where the slanted part is no straight line: draw it in steps.
    steps = [across.low * (across.high / across.low) ** (i / 60) for i in range(61)]
    path = "L".join(f"{across(x)} {up(roof.attainable(x) / _GIGA)}" for x in steps)
    peak, bandwidth = quantity(roof.mac_per_s, "MAC/s"), quantity(roof.bytes_per_s, "B/s")
    titled(add(chart, "path", d=f"M{path}", class_="roof"), f"{peak}, {bandwidth}")


def _point(
    chart: Element, at: tuple[float, float], op: OpTime, roof: Roofline | None, intensity: float
) -> None:
    group = add(chart, "g", class_="s1")
    words = f"{op.name} [{op.kind}]: {quantity(op.mac_per_s, 'MAC/s')}"
    if roof is not None and op.mac_per_s is not None:
        words += f", {100 * op.mac_per_s / roof.attainable(intensity):.0f} % of its roof"
    titled(group, words)
    radius = round(2.5 + 7 * op.share**0.5, 2)
    add(group, "circle", cx=at[0], cy=at[1], r=radius, class_="dot")


def _caption(profile: Profile, points: Sequence[_Point]) -> str:
    words = ["A dot's area grows with its share of the time."]
    left_out = len(profile.ops) - len(points)
    if left_out:
        words.append(f"{left_out} operators without multiply-accumulates or bytes are left out.")
    if profile.roofline is None:
        words.append("No roof: profile with --roofline to measure it on the device.")
    else:
        words.append(f"The roof was measured with: {profile.roofline.kernel}.")
        above = sum((profile.roofline.share(op) or 0) > 1 for op, _, _ in points)
        if above:
            words.append(
                f"{above} operators are above it: what was measured there is not the most this "
                "device can do, or data stayed in its caches."
            )
    return " ".join(words)
