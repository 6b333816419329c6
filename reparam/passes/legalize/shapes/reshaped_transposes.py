"""Keep a converter from taking the product of two computed matrices for a layer."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass

_aten = torch.ops.aten
_PRODUCTS = ("matmul", "bmm")
_LIST_RANK = 3


class ReshapedTransposes(ProgramPass):
    """a @ transpose(b)  ⇒  a @ reshape(permute(reshape(b, (1, m, k, 1)), (0, 2, 1, 3))).

    *Given* the product of one matrix, (1, …, n, k), with one that is transposed for it. *Result*
    the same transposition, hidden by reshapes. Of the plain one litert-torch makes a
    FULLY_CONNECTED with computed weights, which XNNPACK leaves outside: attention of one head, as
    in EfficientViT-M0 (24 of them on TFLite) and SHViT-S1 (4). A layer with such attention alone:
    2 partitions on TFLite ⇒ 1.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell the transposition in front of every such product."""
        rewrites: list[str] = []
        for node in list(graph_module.graph.nodes):
            if operator_name(node) not in _PRODUCTS:
                continue
            right = list(arguments(node).values())[1]
            if not _is_of_one_matrix(node) or not _is_transposition(right):
                continue
            hidden = _insert_hidden(Respelling(graph_module, node), arguments(right)["self"])
            node.replace_input_with(right, hidden)
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites))


def _is_of_one_matrix(node: fx.Node) -> bool:
    shape = static_sizes(value_of(node).shape)
    return shape is not None and len(shape) >= _LIST_RANK and torch.Size(shape[:-2]).numel() == 1


def _is_transposition(node: fx.Node) -> bool:
    """Whether the last two dimensions change places, and nothing else."""
    name, bound = operator_name(node), arguments(node) if node.op == "call_function" else {}
    rank = value_of(node).ndim
    if name == "transpose":
        return {bound["dim0"] % rank, bound["dim1"] % rank} == {rank - 2, rank - 1}
    order = [*range(rank - 2), rank - 1, rank - 2]
    return name == "permute" and [each % rank for each in bound["dims"]] == order


def _insert_hidden(new: Respelling, source: fx.Node) -> fx.Node:
    *lists, rows, columns = value_of(source).shape
    column = new.call(_aten.reshape.default, source, [1, rows, columns, 1])
    turned = new.call(_aten.permute.default, column, [0, 2, 1, 3])
    return new.call(_aten.reshape.default, turned, [*lists, columns, rows])
