"""Fold batch normalization and other per-channel maps into the convolution before them."""

from __future__ import annotations

import dataclasses

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import LinearOperator, read_linear_operator
from cnn_export.reparam.graph.operators import arguments, operator_name, readers
from cnn_export.reparam.graph.stored_weights import StoredWeights
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.passes.affine.batch_norm import Affine, all_finite, fold_affine
from cnn_export.reparam.passes.affine.channel_affine import batch_norm_map, read_channel_affine
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal


@dataclasses.dataclass(frozen=True)
class _Match:
    """A per-channel map, the operator before it, and the folded weights."""

    node: fx.Node
    operator: LinearOperator
    weight: torch.Tensor
    bias: torch.Tensor


class FoldAffineIntoProducer(ProgramPass):
    """conv → batch_norm  ⇒  conv.

    ``W' = W·γ/σ    b' = (b - μ)·γ/σ + β    σ = √(var + ε)``

    *Given* conv1d/2d/3d, their transposed forms (grouped too) or linear, read by one
    evaluation-mode batch_norm only, or by one other map per channel: a product or sum with numbers
    or stored tensors (layer scale). *Result* the same operator with its own new weights: a weight
    that other operators share stays as it is for them, and two calls of one layer under one
    normalization share the new one. Source: arXiv 1502.03167, section 3.1.

    A convolution that others read stays: a copy of it would cost at least as much as the
    normalization does alone.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Fold every map that can be folded."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        store = StoredWeights(graph_module)
        for node in list(graph_module.graph.nodes):
            match = _match(graph_module, node, written)
            if isinstance(match, Refusal):
                refusals.append(match)
            elif match is not None:
                _fold(store, match)
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _match(
    graph_module: fx.GraphModule, node: fx.Node, written: set[fx.Node]
) -> _Match | Refusal | None:
    operator = _operator_before(node)
    if operator is None:
        return None
    affine = _map_of(graph_module, node, operator)
    if affine is None:
        return None
    obstacle = _structural_obstacle(node, operator, written)
    if obstacle or isinstance(affine, str):
        return Refusal(node.name, obstacle or str(affine))
    folded = _folded(graph_module, operator, affine)
    if isinstance(folded, str):
        return Refusal(node.name, folded)
    return _Match(node, operator, *folded)


def _operator_before(node: fx.Node) -> LinearOperator | None:
    """Return the one linear operator among the inputs of a node."""
    found = [read_linear_operator(each) for each in node.all_input_nodes]
    operators = [each for each in found if each is not None]
    return operators[0] if len(operators) == 1 else None


def _map_of(
    graph_module: fx.GraphModule, node: fx.Node, operator: LinearOperator
) -> Affine | str | None:
    """Return the node as a map of the operator's channels, why a normalization has none, or None.

    Of all other nodes nothing is said: most of them were never meant as a map per channel.
    """
    if operator_name(node) == "batch_norm":
        if operator.channel_dim != 1:
            return (
                f"it normalizes dimension 1, but the channels of {operator.node.name} "
                f"lie in dimension {operator.channel_dim}"
            )
        is_input = arguments(node)["input"] is operator.node
        return batch_norm_map(graph_module, node) if is_input else None
    found = read_channel_affine(graph_module, node, operator.channel_dim)
    return found.affine if found is not None and found.input is operator.node else None


def _structural_obstacle(
    node: fx.Node, operator: LinearOperator, written: set[fx.Node]
) -> str | None:
    if len(operator.node.users) > 1:
        return f"{operator.node.name} is also read: {readers(operator.node)}"
    for each in (*operator.node.all_input_nodes[1:], *node.all_input_nodes):
        if each in written:
            return f"{each.name} is written to in place"
    return None


def _folded(
    graph_module: fx.GraphModule, operator: LinearOperator, affine: Affine
) -> tuple[torch.Tensor, torch.Tensor] | str:
    weight = constant(graph_module, operator.weight)
    bias = constant(graph_module, operator.bias)
    if weight is None or (operator.bias is not None and bias is None):
        return f"the weights of {operator.node.name} are computed in the graph"
    folded = fold_affine(
        weight, bias, affine, groups=operator.groups, transposed=operator.transposed
    )
    if not all_finite(*folded):
        return f"the folded weights are not finite in {weight.dtype}"
    return folded


def _fold(store: StoredWeights, match: _Match) -> None:
    store.give(match.operator, match.weight, match.bias)
    replace(match.node, match.operator.node)
