"""Let a layer compute the straight part of a hard sigmoid behind it."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import LinearOperator, read_linear_operator
from cnn_export.reparam.graph.operators import arguments, operator_name, readers, value_of
from cnn_export.reparam.graph.stored_weights import StoredWeights
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.passes.affine.batch_norm import Affine, fold_affine
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_SLOPE, _MIDDLE = 1 / 6, 1 / 2


class HardSigmoidInLayer(ProgramPass):
    """hardsigmoid(W x + b)  ⇒  hardtanh(W' x + b', 0, 1)    W' = W/6    b' = b/6 + 1/2.

    *Given* a convolution or linear layer that only a hard sigmoid reads. *Result* a layer with a
    clip, which integer kernels fuse: int8 in steps of 1/255 from 0 on clips there by itself. A
    hard sigmoid would be an island of floats between two integer layers, and no finer: its input
    in 255 steps from −3 to 3 is the same grid.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Fold every hard sigmoid behind a layer of its own."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        store = StoredWeights(graph_module)
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "hardsigmoid":
                continue
            layer = read_linear_operator(arguments(node)["self"])
            if layer is None:
                continue
            reason = _obstacle(layer, node, written) or _fold(graph_module, store, layer, node)
            if reason is None:
                rewrites.append(node.name)
            else:
                refusals.append(Refusal(node.name, reason))
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _obstacle(layer: LinearOperator, node: fx.Node, written: set[fx.Node]) -> str | None:
    if len(layer.node.users) > 1:
        return f"{layer.node.name} is also read: {readers(layer.node)}"
    memory = (node, layer.node, *layer.node.all_input_nodes)
    changed = next((each for each in memory if each in written), None)
    return None if changed is None else f"{changed.name} is written to in place"


def _fold(
    graph_module: fx.GraphModule, store: StoredWeights, layer: LinearOperator, node: fx.Node
) -> str | None:
    weight, bias = constant(graph_module, layer.weight), constant(graph_module, layer.bias)
    if weight is None or (layer.bias is not None and bias is None):
        return f"the weights of {layer.node.name} are computed in the graph"
    slope = torch.full((value_of(node).shape[layer.channel_dim],), _SLOPE, dtype=torch.float64)
    affine = Affine(slope, torch.full_like(slope, _MIDDLE))
    folded = fold_affine(weight, bias, affine, groups=layer.groups, transposed=layer.transposed)
    store.give(layer, *folded)
    target = torch.ops.aten.hardtanh.default
    replace(node, insert_call(node.graph, target, (layer.node, 0.0, 1.0), before=node, like=node))
    return None
