"""Chains of scalar arithmetic and clipping on one value, read as one clipped line."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from torch import fx

from cnn_export.reparam.graph.operators import arguments, has_tensor, operator_name
from cnn_export.reparam.graph.scalars import scalar, scaled_input

MAX_STEPS = 8
"""The longest chain read: hard sigmoid takes at most a sum, two clips and two factors."""

_ONE_SIDED = {"clamp_min": ("min", None), "clamp_max": (None, "max")}
_TWO_SIDED = {"hardtanh": ("min_val", "max_val"), "clamp": ("min", "max")}


@dataclasses.dataclass(frozen=True)
class ClippedLine:
    """``clip(slope·input + offset, low, high)``, and the nodes that compute it, last one first."""

    input: fx.Node
    slope: float = 1.0
    offset: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    nodes: tuple[fx.Node, ...] = ()

    def of_line(self, node: fx.Node, source: fx.Node, slope: float, offset: float) -> ClippedLine:
        """Return the chain where ``input`` is ``node`` = ``slope·source + offset``."""
        return dataclasses.replace(
            self,
            input=source,
            slope=self.slope * slope,
            offset=self.offset + self.slope * offset,
            nodes=(*self.nodes, node),
        )

    def of_clip(self, node: fx.Node, source: fx.Node, low: float, high: float) -> ClippedLine:
        """Return the chain where ``input`` is ``node`` = ``clip(source, low, high)``.

        A line takes the bounds along, exchanged where it falls: ``a·clip(x, l, h) + b`` is
        ``clip(a·x + b, a·l + b, a·h + b)`` for positive ``a``.
        """
        ends = sorted(self.slope * bound + self.offset for bound in (low, high))
        low, high = (min(max(end, self.low), self.high) for end in ends)
        return dataclasses.replace(
            self, input=source, low=low, high=high, nodes=(*self.nodes, node)
        )

    def times(self, factor: float) -> ClippedLine:
        """Return ``factor`` times the chain; ``factor`` is positive."""
        return dataclasses.replace(
            self,
            slope=self.slope * factor,
            offset=self.offset * factor,
            low=self.low * factor,
            high=self.high * factor,
        )


def clipped_lines(graph_module: fx.GraphModule, node: Any) -> Iterator[ClippedLine]:
    """Yield what ``node`` is of each value up its chain, the nearest first.

    Read are sums and products with a number, negation, and clips of either side.
    """
    if not has_tensor(node):
        return
    line = ClippedLine(node)
    for _ in range(MAX_STEPS):
        further = _further(graph_module, line)
        if further is None or not has_tensor(further.input) or not math.isfinite(further.slope):
            return
        line = further
        yield line


def _further(graph_module: fx.GraphModule, line: ClippedLine) -> ClippedLine | None:
    node = line.input
    name = operator_name(node)
    if name in ("mul", "div"):
        scaled = scaled_input(graph_module, node)
        return line.of_line(node, scaled[0], scaled[1], 0.0) if scaled and scaled[1] else None
    if name == "neg":
        return line.of_line(node, arguments(node)["self"], -1.0, 0.0)
    if name in ("add", "sub", "rsub"):
        return _sum(graph_module, line, name)
    bounds = _bounds(graph_module, node, name)
    return line.of_clip(node, arguments(node)["self"], *bounds) if bounds else None


def _sum(graph_module: fx.GraphModule, line: ClippedLine, name: str) -> ClippedLine | None:
    """Read ``x + c``, ``c + x``, ``x - c``, ``c - x`` and their ``alpha``."""
    bound = arguments(line.input)
    left, right, alpha = bound["self"], bound["other"], float(bound["alpha"])
    if name == "rsub":
        left, right = right, left
        number = scalar(graph_module, left)
        return None if number is None else line.of_line(line.input, right, -alpha, number)
    sign = alpha if name == "add" else -alpha
    number = scalar(graph_module, right)
    if number is not None:
        return line.of_line(line.input, left, 1.0, sign * number)
    number = scalar(graph_module, left)
    return None if number is None or not sign else line.of_line(line.input, right, sign, number)


def _bounds(graph_module: fx.GraphModule, node: fx.Node, name: str) -> tuple[float, float] | None:
    if name in ("relu", "relu6"):
        return 0.0, math.inf if name == "relu" else 6.0
    keys = _ONE_SIDED.get(name) or _TWO_SIDED.get(name)
    if keys is None:
        return None
    bound = arguments(node)
    given = [bound[key] if key else None for key in keys]
    values = [None if each is None else scalar(graph_module, each) for each in given]
    if any(v is None and each is not None for v, each in zip(values, given, strict=True)):
        return None
    low = -math.inf if values[0] is None else values[0]
    high = math.inf if values[1] is None else values[1]
    return (low, high) if low <= high else None
