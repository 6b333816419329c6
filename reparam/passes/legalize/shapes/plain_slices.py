"""Spell selections and strided slices as slices of step one, which delegates take."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.splice import insert_piece
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten


class PlainSlices(ProgramPass):
    """x[i]  ⇒  reshape(x[i:i+1]),   x[i::s]  ⇒  reshape(reshape(x, …, n/s, s, …)[:, i:i+1]).

    *Given* one index of a dimension, or every s-th one from ``i < s``, where ``s`` divides the
    dimension. *Result* the same values by a slice of step 1. XNNPACK takes neither selections nor
    steps: a channel shuffle that ends in ``x[0], x[1]`` breaks the network at every block.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such operator."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            if node in written or not _is_wanted(node):
                continue
            sizes = static_sizes(value_of(node).shape)
            if sizes is None or static_sizes(value_of(arguments(node)["self"]).shape) is None:
                refusals.append(Refusal(node.name, "the sizes of its input are not known"))
                continue
            plain = _insert_index(node) if operator_name(node) == "select" else _insert_every(node)
            if isinstance(plain, str):
                refusals.append(Refusal(node.name, plain))
                continue
            replace(node, _call(node, _aten.reshape.default, plain, sizes))
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _is_wanted(node: fx.Node) -> bool:
    name = operator_name(node)
    if name not in {"select", "slice"} or not has_tensor(node):
        return False
    return name == "select" or arguments(node)["step"] != 1


def _insert_index(node: fx.Node) -> fx.Node | str:
    bound = arguments(node)
    source: fx.Node = bound["self"]
    dim = bound["dim"] % value_of(source).ndim
    index: Any = bound["index"]
    if not isinstance(index, int):
        return "its index is not known"
    first = index % value_of(source).shape[dim]
    return insert_piece(source, dim, first, first + 1, before=node, like=node)


def _insert_every(node: fx.Node) -> fx.Node | str:
    bound = arguments(node)
    source: fx.Node = bound["self"]
    dim, step = bound["dim"] % value_of(source).ndim, bound["step"]
    shape = list(value_of(source).shape)
    if not all(each is None or isinstance(each, int) for each in (bound["start"], bound["end"])):
        return "its range is not known"
    first, last, _ = slice(bound["start"], bound["end"]).indices(shape[dim])
    if shape[dim] % step or first >= step or last <= shape[dim] - step + first:
        return f"it does not take one of every {step} of {shape[dim]}"
    apart = [*shape[:dim], shape[dim] // step, step, *shape[dim + 1 :]]
    rows = _call(node, _aten.reshape.default, source, apart)
    return insert_piece(rows, dim + 1, first, first + 1, before=node, like=node)


def _call(node: fx.Node, target: Any, *args: Any) -> fx.Node:
    return insert_call(node.graph, target, args, before=node, like=node)
