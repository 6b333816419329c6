"""Clip between 0 and 1 by an operator that XNNPACK takes from LiteRT."""

from __future__ import annotations

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass

_aten = torch.ops.aten
_BOUNDS = {"clamp": ("min", "max"), "clip": ("min", "max"), "hardtanh": ("min_val", "max_val")}


class UnitClamps(ProgramPass):
    """clamp(x, 0, 1)  ⇒  clamp(2·x, 0, 2) · 1/2.

    *Given* a clip of floats between 0 and 1. *Result* the same value, bit for bit: powers of two
    round nothing, and what overflows is clipped. LiteRT's converter spells every other form of it
    as RELU_0_TO_1, which XNNPACK leaves to TFLite's own kernel; of this one the first factor ends
    in the layer before, and the last in the layer behind, where there are such.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such clip."""
        found = [node for node in graph_module.graph.nodes if _is_unit(node)]
        for node in found:
            source = arguments(node)["self"]
            doubled = _call(node, _aten.mul.Tensor, source, 2.0)
            clipped = _call(node, _aten.hardtanh.default, doubled, 0.0, 2.0)
            replace(node, _call(node, _aten.mul.Tensor, clipped, 0.5))
        return PassResult(self.name, tuple(node.name for node in found))


def _is_unit(node: fx.Node) -> bool:
    names = _BOUNDS.get(operator_name(node))
    if names is None or not value_of(node).is_floating_point():
        return False
    bound = arguments(node)
    return all(
        isinstance(bound[name], (int, float)) and bound[name] == value
        for name, value in zip(names, (0, 1), strict=True)
    )


def _call(node: fx.Node, target: OpOverload, *args: fx.Node | float) -> fx.Node:
    return insert_call(node.graph, target, args, before=node, like=node)
