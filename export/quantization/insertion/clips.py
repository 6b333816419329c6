"""Clips: relu, relu6, hardtanh and clamp, read into the bounds they impose."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, has_tensor, operator_name
from cnn_export.reparam.graph.scalars import scalar


@dataclasses.dataclass(frozen=True)
class Bounds:
    """An interval; either end may be infinite."""

    low: float = -math.inf
    high: float = math.inf

    def within(self, other: Bounds) -> bool:
        """Whether all of it lies in ``other``."""
        return other.low <= self.low and self.high <= other.high

    def hull(self, other: Bounds) -> Bounds:
        """Return the smallest interval that holds both."""
        return Bounds(min(self.low, other.low), max(self.high, other.high))

    def cut(self, other: Bounds) -> Bounds:
        """Return what both hold; the end of this one that is nearest, where that is nothing."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Bounds(low, high) if low <= high else Bounds(*(self._nearest(low, high),) * 2)

    def _nearest(self, low: float, high: float) -> float:
        return self.low if high <= self.low else min(self.high, low)


EVERYTHING = Bounds()


def read_clip(graph_module: fx.GraphModule, node: fx.Node) -> tuple[fx.Node, Bounds] | None:
    """Read ``min(max(x, low), high)`` as ``(x, bounds)``; ``None`` for anything else.

    The bounds are float32 numbers, as the operator has them that clips float32 values.
    """
    name = operator_name(node)
    if name not in ("relu", "relu6", "hardtanh", "clamp", "clamp_min", "clamp_max"):
        return None
    bound = arguments(node)
    if not has_tensor(bound["self"]):
        return None
    if name in ("relu", "relu6"):
        return bound["self"], Bounds(0.0, 6.0 if name == "relu6" else math.inf)
    ends: list[float] = []
    for keys, default in ((("min", "min_val"), -math.inf), (("max", "max_val"), math.inf)):
        given = next((bound[key] for key in keys if bound.get(key) is not None), None)
        value = default if given is None else scalar(graph_module, given)
        if value is None:
            return None
        ends.append(torch.tensor(value, dtype=torch.float32).item())
    low, high = ends
    return (bound["self"], Bounds(low, high)) if low <= high else None
