"""Spell products of many matrices as those of one list of them."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.operators import (
    arguments,
    operator_name,
    same_size,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_LIST_RANK = 3


class BatchedProducts(ProgramPass):
    """matmul(a, b)  ⇒  reshape(bmm(reshape(a), reshape(b))).

    *Given* a product of equally many matrices on both sides: (…, m, k) and (…, k, n). *Result* the
    same on (−1, m, k) and (−1, k, n). Decomposed by torch itself, both sides are expanded to the
    shape they have, which XNNPACK for ExecuTorch leaves outside: two operators per product.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such product."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "matmul":
                continue
            bound = arguments(node)
            left, right = bound["self"], bound["other"]
            if min(value_of(each).ndim for each in (left, right)) < _LIST_RANK:
                continue
            reason = _obstacle(node, left, right)
            if reason is not None:
                refusals.append(Refusal(node.name, reason))
                continue
            _respell(Respelling(graph_module, node), left, right)
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _obstacle(node: fx.Node, left: fx.Node, right: fx.Node) -> str | None:
    counts = [value_of(each).shape[:-2] for each in (left, right)]
    if len(counts[0]) != len(counts[1]) or not all(map(same_size, *counts)):
        return "one side has fewer matrices than the other"
    shapes = [*value_of(left).shape[-2:], *value_of(right).shape[-2:], *value_of(node).shape[1:]]
    return "its sizes are not known" if static_sizes(shapes) is None else None


def _respell(new: Respelling, left: fx.Node, right: fx.Node) -> None:
    product = new.call(_aten.bmm.default, _insert_list(new, left), _insert_list(new, right))
    shape = value_of(new.node).shape
    if len(shape) > _LIST_RANK:
        product = new.call(_aten.reshape.default, product, [_first(shape[0]), *shape[1:]])
    new.give(product)


def _insert_list(new: Respelling, value: fx.Node) -> fx.Node:
    shape = value_of(value).shape
    if len(shape) == _LIST_RANK:
        return value
    count = static_sizes(shape[:-2])
    size = -1 if count is None else torch.Size(count).numel()
    return new.call(_aten.reshape.default, value, [size, *shape[-2:]])


def _first(size: int | torch.SymInt) -> int:
    return size if isinstance(size, int) else -1
