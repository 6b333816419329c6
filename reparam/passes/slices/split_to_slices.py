"""Spell every way to take consecutive ranges of a tensor as slices."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_SPLITS = frozenset(
    {"split", "split_with_sizes", "chunk", "tensor_split"}
    | {"unsafe_split", "unsafe_split_with_sizes", "unsafe_chunk"}
    | {"split_copy", "split_with_sizes_copy"}
)
_UNBINDS = frozenset({"unbind", "unbind_copy"})
_RANGES = frozenset({"narrow", "narrow_copy"})


class SplitToSlices(ProgramPass):
    """split(x, [a, b], d)[1]  ⇒  slice(x, d, a, a + b).

    *Given* split, chunk, tensor_split, narrow and unbind of a dimension of known size, read item
    by item. *Result* slices (selections for unbind): views of the same memory, so that writes to
    it stay what they were. XNNPACK takes slices only: each split breaks the net in two.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such operator."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            name = operator_name(node)
            if name in _SPLITS or name in _UNBINDS:
                reason = _replace_split(node)
            elif name in _RANGES:
                reason = _replace_narrow(node)
            else:
                continue
            if reason:
                refusals.append(Refusal(node.name, reason))
            else:
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _replace_split(node: fx.Node) -> str | None:
    """Let slices take the place of the items; return a reason where they cannot."""
    bound = arguments(node)
    source: fx.Node = bound["self"]
    dim = bound["dim"] % value_of(source).ndim
    others = [user.name for user in node.users if user.target is not operator.getitem]
    if others:
        return f"{others[0]} reads all its items at once"
    unbinds = operator_name(node) in _UNBINDS
    ends = [0]
    for value in node.meta["val"]:
        size = 1 if unbinds else value.shape[dim]
        if not isinstance(size, int):
            return f"the sizes along dimension {dim} are not known"
        ends.append(ends[-1] + size)
    for item in list(node.users):
        index: Any = item.args[1]
        index %= len(ends) - 1
        args = (source, dim, index) if unbinds else (source, dim, ends[index], ends[index + 1])
        target = _aten.select.int if unbinds else _aten.slice.Tensor
        replace(item, insert_call(node.graph, target, args, before=item, like=item))
    node.graph.erase_node(node)
    return None


def _replace_narrow(node: fx.Node) -> str | None:
    bound = arguments(node)
    source: fx.Node = bound["self"]
    dim = bound["dim"] % value_of(source).ndim
    size = static_sizes(value_of(source).shape[dim : dim + 1])
    start, length = bound["start"], bound["length"]
    if size is None or not isinstance(start, int) or not isinstance(length, int):
        return f"the range along dimension {dim} is not known"
    first = start + size[0] if start < 0 else start
    args = (source, dim, first, first + length)
    replace(node, insert_call(node.graph, _aten.slice.Tensor, args, before=node, like=node))
    return None
