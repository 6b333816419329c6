"""Scalar operands of elementwise operators, however they are written."""

from __future__ import annotations

from typing import Any

from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import arguments, has_tensor, operator_name


def scalar(graph_module: fx.GraphModule, argument: Any) -> float | None:
    """Return a number, or the value of a stored tensor without dimensions; else ``None``."""
    if isinstance(argument, (int, float)) and not isinstance(argument, bool):
        return float(argument)
    tensor = constant(graph_module, argument)
    if tensor is None or tensor.ndim > 0:
        return None
    return float(tensor.item())


def scaled_input(graph_module: fx.GraphModule, node: Any) -> tuple[fx.Node, float] | None:
    """Read ``x·c``, ``c·x`` or ``x/c`` as ``(x, c)`` or ``(x, 1/c)``."""
    if not has_tensor(node) or operator_name(node) not in ("mul", "div"):
        return None
    bound = arguments(node)
    if bound.get("rounding_mode") is not None:
        return None
    if operator_name(node) == "div":
        divisor = scalar(graph_module, bound["other"])
        return (bound["self"], 1.0 / divisor) if divisor and has_tensor(bound["self"]) else None
    return _commuted(graph_module, bound)


def clipped_input(graph_module: fx.GraphModule, node: Any) -> tuple[fx.Node, float, float] | None:
    """Read ``relu6``, ``hardtanh`` or a two-sided ``clamp`` as ``(x, low, high)``."""
    if not has_tensor(node):
        return None
    name = operator_name(node)
    if name not in ("relu6", "hardtanh", "clamp"):
        return None
    bound = arguments(node)
    if name == "relu6":
        return bound["self"], 0.0, 6.0
    keys = ("min_val", "max_val") if name == "hardtanh" else ("min", "max")
    low, high = (scalar(graph_module, bound[key]) for key in keys)
    return None if low is None or high is None else (bound["self"], low, high)


def _commuted(graph_module: fx.GraphModule, bound: dict[str, Any]) -> tuple[fx.Node, float] | None:
    for tensor, number in (("self", "other"), ("other", "self")):
        value = scalar(graph_module, bound[number])
        if value is not None and has_tensor(bound[tensor]):
            return bound[tensor], value
    return None
