"""Spell what resamples rows and columns one after the other as two matrix products."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import operator_name, value_of
from cnn_export.reparam.graph.surgery import insert_call, insert_constant, replace
from cnn_export.reparam.passes.legalize.geometry.separable import (
    NEAREST,
    axis_map,
    image_read_by,
    repeats_of,
)
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_ROWS, _COLUMNS = 2, 3


class ResizesAsProducts(ProgramPass):
    """resize(x)  ⇒  R · x · Cᵀ, with R (H', H) and C (W', W) stored.

    *Given* a nearest resize by a factor that is no whole number, a bicubic resize, or averages
    over windows of unequal size. *Result* the same sums (of one number each for nearest) as two
    linear layers over rows and columns. Delegates have none of the three, and converters round
    the positions of nearest otherwise than PyTorch. An infinite pixel would make NaN of its row and
    column, and integers have no such layer: networks that write infinities keep the operator.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such resize."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            source = None if operator_name(node) == "pad" else image_read_by(node)
            if source is None:
                continue
            if isinstance(source, str):
                refusals.append(Refusal(node.name, source))
                continue
            if (obstacle := product_obstacle(graph_module, node)) is not None:
                refusals.append(Refusal(node.name, obstacle))
                continue
            maps = [axis_map(node, axis) for axis in (0, 1)]
            if operator_name(node) in NEAREST and None not in map(repeats_of, maps):
                continue
            replace(node, insert_products(graph_module, node, source, maps))
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def product_obstacle(graph_module: fx.GraphModule, node: fx.Node) -> str | None:
    """Return why products would not be the node's values: they are of finite floats alone."""
    if not value_of(node).is_floating_point():
        return f"its values are {value_of(node).dtype}, and a product is of floats"
    infinite = next((each for each in graph_module.graph.nodes if _is_infinite(each)), None)
    if infinite is None and not any(
        bool(tensor.isinf().any())
        for tensor in graph_module.state_dict().values()
        if tensor.is_floating_point()
    ):
        return None
    return "the network writes infinities, and a product makes NaN of them"


def _is_infinite(node: fx.Node) -> bool:
    given = (*node.args, *node.kwargs.values())
    return any(isinstance(each, float) and math.isinf(each) for each in given)


def insert_products(
    graph_module: fx.GraphModule, node: fx.Node, source: fx.Node, maps: list[torch.Tensor]
) -> fx.Node:
    """Add both products in front of ``node``; one that changes nothing is left out."""
    value = source
    for axis, matrix in zip((_ROWS, _COLUMNS), maps, strict=True):
        if repeats_of(matrix) == 1:
            continue
        stored = insert_constant(
            graph_module,
            "resampling",
            matrix.to(value_of(node).dtype),
            before=node,
            like=node,
            is_weight=False,
        )
        value = _insert_transpose(node, value) if axis == _ROWS else value
        value = _call(node, _aten.linear.default, value, stored)
        value = _insert_transpose(node, value) if axis == _ROWS else value
    return value


def _insert_transpose(node: fx.Node, value: fx.Node) -> fx.Node:
    return _call(node, _aten.transpose.int, value, _ROWS, _COLUMNS)


def _call(node: fx.Node, target: Any, *args: Any) -> fx.Node:
    return insert_call(node.graph, target, args, before=node, like=node)
