r"""Inline SVG as an element tree, so that it is well-formed and every text is escaped.

Control characters, which no XML may hold, are written as ``\x1b`` and the like.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from cnn_export.benchmarks.report.charts.axes import Axis
from cnn_export.benchmarks.tables.quantities import significant
from cnn_export.command_line.terminal import printable

WIDTH = 440
"""User units; narrow, so that text stays legible when a phone shows the whole chart."""
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 20, 38
COLOURS = 8
"""Classes ``s0`` to ``s7`` of the style sheet."""
_LABEL_GAP = 6


def drawing(height: float, description: str, width: float = WIDTH) -> Element:
    """Return an empty drawing; ``description`` is what a screen reader says."""
    attributes = {
        "viewBox": f"0 0 {width:g} {height:g}",
        "role": "img",
        "aria-label": printable(description),
    }
    return Element("svg", attributes)


def markup(element: Element) -> str:
    """Return the drawing as text."""
    return tostring(element, encoding="unicode")


def add(parent: Element, tag: str, text: str = "", **attributes: object) -> Element:
    """Append an element; ``class_`` and ``stroke_width`` become ``class`` and ``stroke-width``."""
    named = {
        key.rstrip("_").replace("_", "-"): printable(str(value))
        for key, value in attributes.items()
    }
    element = SubElement(parent, tag, named)
    if text:
        element.text = printable(text)
    return element


def titled(element: Element, title: str) -> Element:
    """Give an element the text that shows when it is pointed at."""
    add(element, "title", title)
    return element


def line(parent: Element, ends: tuple[float, float, float, float], style: str) -> Element:
    """Append a line from ``x1, y1`` to ``x2, y2``."""
    x1, y1, x2, y2 = ends
    return add(parent, "line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style)


def label(
    parent: Element, at: tuple[float, float], text: str, anchor: str = "start", style: str = "t"
) -> Element:
    """Append text; ``anchor`` is ``start``, ``middle`` or ``end``."""
    x, y = at
    return add(parent, "text", text, x=x, y=y, text_anchor=anchor, class_=style)


def horizontal_axis(parent: Element, axis: Axis, top: float, bottom: float, title: str) -> None:
    """Draw grid lines from ``top`` to ``bottom``, tick labels and the title below."""
    for tick in axis.ticks():
        x = axis(tick)
        line(parent, (x, top, x, bottom), "grid")
        label(parent, (x, bottom + 14), tick_text(tick), "middle")
    label(parent, ((axis.start + axis.end) / 2, bottom + 30), title, "middle", "t axis")


def vertical_axis(parent: Element, axis: Axis, left: float, right: float, title: str) -> None:
    """Draw grid lines from ``left`` to ``right``, tick labels and the title on top."""
    for tick in axis.ticks(4):
        y = axis(tick)
        line(parent, (left, y, right, y), "grid")
        label(parent, (left - _LABEL_GAP, y + 4), tick_text(tick), "end")
    label(parent, (2, min(axis.start, axis.end) - 8), title, "start", "t axis")


def tick_text(value: float) -> str:
    """Return a tick's value without trailing zeros."""
    text = significant(value)
    return text.rstrip("0").rstrip(".") if "." in text else text
