"""How far an output may be from its emulation: not at all, unless a float operator says otherwise.

The limit follows from the graph. Integer kernels and the float operators whose formula and order
of sums are known leave nothing open. Any other float operator (a softmax, a layer kept float) ends
in digits that are the runtime's own: where its result is quantized, a value close to the middle
between two steps may take the other one.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import fx

from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.grid import grid_of
from cnn_export.quantization.emulation.regions import regions
from cnn_export.quantization.insertion.decomposed import (
    DEQUANTIZE,
    DEQUANTIZE_PER_CHANNEL,
    QUANTIZE,
    QUANTIZE_PER_CHANNEL,
)
from cnn_export.reparam.graph.operators import operator_name, value_of

STEPS_MAX = 1
"""Steps by which an output behind such a float operator may differ, …"""
SHARE_MAX = 0.01
"""… and the share of its elements that may."""
FLOAT_ERROR_MAX = 1e-5
"""Error over RMS of an output that is float, as float32 artifacts have it."""

_MOVED = (
    "cat chunk clone constant_pad_nd contiguous expand flatten max_pool2d pad permute "
    "pixel_shuffle repeat reshape select slice split squeeze stack sym_size transpose "
    "unsafe_split unsqueeze upsample_nearest2d view"
)
_ONE_ROUNDING = "add sub mul neg relu relu6 hardtanh clamp clamp_min clamp_max minimum maximum abs"
_EXACT = frozenset((*_MOVED.split(), *_ONE_ROUNDING.split()))
"""Float operators that move values, choose among them, or round once: equal in every runtime."""

_CONVERSIONS = (QUANTIZE, DEQUANTIZE, QUANTIZE_PER_CHANNEL, DEQUANTIZE_PER_CHANNEL)


@dataclasses.dataclass(frozen=True)
class OutputLimit:
    """What an output of the artifact may be off by, and why.

    Equal it must be where ``steps`` and ``relative_error`` are 0. ``step`` is the size of a step
    in the output's own units (1 for integers), ``None`` where the output is on no grid: then
    ``relative_error`` bounds the largest error over the RMS. ``share``: of elements that differ.
    """

    step: float | None
    steps: int
    share: float
    relative_error: float
    reason: str

    @property
    def is_equality(self) -> bool:
        """Whether nothing may differ."""
        return self.steps == 0 and self.relative_error == 0.0


def output_limits(graph_module: fx.GraphModule, arithmetic: Arithmetic) -> list[OutputLimit]:
    """Return the limit of each output of a quantized graph, in order."""
    open_at = _open_operators(graph_module, arithmetic)
    results: Any = graph_module.graph.output_node().args[0]
    return [_limit(node, open_at[node], arithmetic) for node in results]


def is_moved(node: fx.Node) -> bool:
    """Whether each element of the result is one of its inputs', or a constant beside them."""
    return operator_name(node) in _MOVED.split()


def _limit(node: fx.Node, open_operators: tuple[str, ...], arithmetic: Arithmetic) -> OutputLimit:
    step = _step(node)
    if not open_operators:
        return OutputLimit(step, 0, 0.0, 0.0, f"every operator in {arithmetic.name}'s arithmetic")
    named = ", ".join(open_operators[:3]) + (" and more" if len(open_operators) > 3 else "")
    reason = f"float operators in an order of {arithmetic.name}'s own: {named}"
    if not value_of(node).is_floating_point() and step is None:
        return OutputLimit(None, 0, 0.0, 0.0, f"whole numbers, in spite of {reason}")
    if step is None:
        return OutputLimit(None, 0, 1.0, FLOAT_ERROR_MAX, reason)
    return OutputLimit(step, STEPS_MAX, SHARE_MAX, 0.0, reason)


def _open_operators(
    graph_module: fx.GraphModule, arithmetic: Arithmetic
) -> dict[fx.Node, tuple[str, ...]]:
    """Return for each node the float operators before it, and itself, that are not exact."""
    inside = {node for region in regions(graph_module, arithmetic) for node in region.inside}
    found: dict[fx.Node, tuple[str, ...]] = {}
    for node in graph_module.graph.nodes:
        names = {name: None for read in node.all_input_nodes for name in found[read]}
        if node.op == "call_function" and node not in inside and not is_exact(node, arithmetic):
            names[_shown(node)] = None
        found[node] = tuple(names)
    return found


def _shown(node: fx.Node) -> str:
    """Return the operator and where it stands: the module that called it, where that is known."""
    modules = node.meta.get("nn_module_stack") or {}
    paths = [str(path) for path, _ in modules.values()]
    place = f"in {paths[-1]}" if paths and paths[-1] else f"({node.name})"
    return f"{operator_name(node)} {place}"


def is_exact(node: fx.Node, arithmetic: Arithmetic) -> bool:
    """Whether the runtime's result is known to the last bit."""
    if node.target in _CONVERSIONS:
        return True
    name = operator_name(node)
    return not name or name in _EXACT or name in arithmetic.floats


def _step(node: fx.Node) -> float | None:
    """Return the size of a step of this value, seen through operators that move values."""
    while is_moved(node) and len(node.all_input_nodes) == 1:
        (node,) = node.all_input_nodes
    if node.target is DEQUANTIZE:
        return grid_of(node).scale
    return 1.0 if node.target is QUANTIZE else None
