"""Spell hard-sigmoid with floating constants, for converters that would take integer ones."""

from __future__ import annotations

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.graph.surgery import insert_call, insert_constant, insert_reader, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass

_aten = torch.ops.aten
_SHIFT, _TOP = 3.0, 6.0


class FloatHardSigmoid(ProgramPass):
    """hardsigmoid(x)  ⇒  clamp(x + 3, 0, 6) · 1/6.

    *Given* ``hardsigmoid``. *Result* the same function of two stored numbers, which all of them
    share. Decomposed by torch itself, the operator carries integer scalars: ExecuTorch converts
    each by a kernel call per inference, outside the delegate (18 of them in MobileNetV3-Small),
    and computes wrong results with them in float16.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every ``hardsigmoid``."""
        stored: dict[tuple[float, torch.dtype], fx.Node] = {}
        found = [node for node in graph_module.graph.nodes if operator_name(node) == "hardsigmoid"]
        for node in found:
            shift = _insert_number(graph_module, stored, _SHIFT, "hard_sigmoid_three", node)
            factor = _insert_number(graph_module, stored, 1 / _TOP, "hard_sigmoid_sixth", node)
            shifted = _call(node, _aten.add.Tensor, arguments(node)["self"], shift)
            clamped = _call(node, _aten.hardtanh.default, shifted, 0.0, _TOP)
            replace(node, _call(node, _aten.mul.Tensor, clamped, factor))
        return PassResult(self.name, tuple(node.name for node in found))


def _insert_number(
    graph_module: fx.GraphModule,
    stored: dict[tuple[float, torch.dtype], fx.Node],
    value: float,
    hint: str,
    node: fx.Node,
) -> fx.Node:
    """Return a stored number in the node's dtype, read once more where it is stored already."""
    key = (value, value_of(node).dtype)
    if key in stored:
        return insert_reader(stored[key], before=node)
    tensor = torch.tensor([value], dtype=key[1])
    stored[key] = insert_constant(
        graph_module, hint, tensor, before=node, like=node, is_weight=False
    )
    return stored[key]


def _call(node: fx.Node, target: OpOverload, *args: fx.Node | float) -> fx.Node:
    return insert_call(node.graph, target, args, before=node, like=node)
