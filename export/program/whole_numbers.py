"""Which outputs hold whole numbers: classes and masks, also as floats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

_CARRIERS = frozenset(
    {
        *("_to_copy", "to", "type_as", "clone", "contiguous", "alias", "detach", "lift_fresh_copy"),
        *("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"),
        *("permute", "transpose", "t", "numpy_T", "expand", "repeat", "slice", "select", "flip"),
    }
)
"""Operators that convert or move the elements of their first argument and change none."""


def whole_outputs(graph_module: fx.GraphModule, names: Sequence[str]) -> frozenset[str]:
    """Return the names of the outputs that are, or are converted from, integers or booleans."""
    values: Any = graph_module.graph.output_node().args[0]
    return frozenset(name for name, node in zip(names, values, strict=True) if _is_whole(node))


def _is_whole(node: fx.Node) -> bool:
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        return False
    if not value.is_floating_point():
        return True
    packet = getattr(node.target, "overloadpacket", None)
    source: Any = node.args[0] if getattr(packet, "__name__", "") in _CARRIERS else None
    return isinstance(source, fx.Node) and _is_whole(source)
