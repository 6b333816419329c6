"""Repeat pixels by operators that delegates take."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import fx

from cnn_export.reparam.graph.operators import operator_name, value_of
from cnn_export.reparam.graph.splice import insert_concatenation
from cnn_export.reparam.graph.surgery import insert_call, insert_constant, replace
from cnn_export.reparam.passes.legalize.geometry.separable import (
    NEAREST,
    axis_map,
    image_read_by,
    repeats_of,
)
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten


class NearestAsCopies(ProgramPass):
    """nearest(x, r)  ⇒  x beside itself r times, columns first, then whole rows.

    concatenations: [x … x] along the channels of NHWC, read as (N, H, W·r, C); rows alike
    products:       x.reshape(N·H·W, 1, C) · 1 of shape (1, r, 1); rows alike

    *Given* a nearest resize, exact or not, that repeats every row and every column equally often.
    *Result* the same pixels, bit for bit, by operators that XNNPACK takes in NHWC, without a
    multiplication table or an index. LiteRT's converter makes no broadcast of a product with ones
    that XNNPACK takes; ExecuTorch's takes no concatenation of a value with itself.
    """

    def __init__(self, spelling: Literal["concatenations", "products"]) -> None:
        self._is_product = spelling == "products"

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such resize."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            source = image_read_by(node) if operator_name(node) in NEAREST else None
            if source is None:
                continue
            if isinstance(source, str):
                refusals.append(Refusal(node.name, source))
                continue
            factors = [repeats_of(axis_map(node, axis)) for axis in (0, 1)]
            if None in factors:
                reason = "it does not repeat every row and column equally often"
                refusals.append(Refusal(node.name, reason))
                continue
            copied = self._insert(graph_module, node, source, [each or 1 for each in factors])
            replace(node, copied)
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))

    def _insert(
        self, graph_module: fx.GraphModule, node: fx.Node, source: fx.Node, factors: list[int]
    ) -> fx.Node:
        batch, channels, height, width = (int(size) for size in value_of(source).shape)
        rows, columns = factors
        copies = _call(node, _aten.permute.default, source, [0, 2, 3, 1])
        runs = ((columns, batch * height * width, channels),
                (rows, batch * height, columns * width * channels))  # fmt: skip
        for factor, count, length in runs:
            if factor > 1:
                copies = self._repeat(graph_module, node, copies, (factor, count, length))
        shape = [batch, rows * height, columns * width, channels]
        copies = _call(node, _aten.reshape.default, copies, shape)
        return _call(node, _aten.permute.default, copies, [0, 3, 1, 2])

    def _repeat(
        self,
        graph_module: fx.GraphModule,
        node: fx.Node,
        value: fx.Node,
        run: tuple[int, int, int],
    ) -> fx.Node:
        """Return ``count`` runs of ``length`` numbers, each ``factor`` times in turn."""
        factor, count, length = run
        if not self._is_product:
            if value_of(value).shape[-1] != length:
                value = _call(node, _aten.reshape.default, value, [count, length])
            last = value_of(value).ndim - 1
            return insert_concatenation([value] * factor, last, before=node, like=node)
        value = _call(node, _aten.reshape.default, value, [count, 1, length])
        ones = torch.ones(1, factor, 1, dtype=value_of(node).dtype)
        stored = insert_constant(
            graph_module, "copies", ones, before=node, like=node, is_weight=False
        )
        return _call(node, _aten.mul.Tensor, value, stored)


def _call(node: fx.Node, target: Any, *args: Any) -> fx.Node:
    return insert_call(node.graph, target, args, before=node, like=node)
