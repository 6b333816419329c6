"""How far an output may be from what is emulated: not at all, unless only floats come behind."""

from __future__ import annotations

from typing import Any

from torch import fx

from cnn_export.errors import InputRefused
from cnn_export.quantization.decision import Decision
from cnn_export.quantization.dynamic.arithmetic import ONNX_DYNAMIC
from cnn_export.quantization.emulation.limits import FLOAT_ERROR_MAX, OutputLimit, is_exact

_EQUAL = OutputLimit(None, 0, 0.0, 0.0, f"every operator in {ONNX_DYNAMIC.name}'s arithmetic")


def dynamic_limits(graph_module: fx.GraphModule, decision: Decision) -> list[OutputLimit]:
    """Return the limit of each output, in order.

    Raises:
        InputRefused: a layer rounds what a float operator gives whose last digits are the
            runtime's own: one step more or less there, and everything behind it is another number.
    """
    before: dict[fx.Node, tuple[str, ...]] = {}
    for node in graph_module.graph.nodes:
        names = {name: None for read in node.all_input_nodes for name in before[read]}
        decided = node.name in decision.weights
        if decided and names:
            raise InputRefused(
                f"int8-dynamic cannot be proven of this network: {node.name} rounds what"
                f" {min(names)} computes in floats, in an order of the runtime's own; use --weights"
                " int8"
            )
        if node.op == "call_function" and not decided and not is_exact(node, ONNX_DYNAMIC):
            names[node.name] = None
        before[node] = tuple(names)
    results: Any = graph_module.graph.output_node().args[0]
    return [_limit(before[node]) for node in results]


def _limit(names: tuple[str, ...]) -> OutputLimit:
    if not names:
        return _EQUAL
    reason = f"float operators in an order of {ONNX_DYNAMIC.name}'s own: {', '.join(names[:3])}"
    return OutputLimit(None, 0, 1.0, FLOAT_ERROR_MAX, reason)
