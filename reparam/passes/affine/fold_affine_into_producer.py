"""Fold batch normalization and other per-channel maps into the convolution before them."""

from __future__ import annotations

import dataclasses

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import LinearOperator, read_linear_operator
from cnn_export.reparam.graph.operators import arguments, operator_name, readers, value_of
from cnn_export.reparam.graph.stored_weights import StoredWeights
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.passes.affine.batch_norm import Affine, all_finite, fold_affine
from cnn_export.reparam.passes.affine.channel_affine import batch_norm_map, read_channel_affine
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal


@dataclasses.dataclass(frozen=True)
class _Producer:
    """A linear operator, and its result as it is read: itself, or with its dimensions permuted."""

    operator: LinearOperator
    result: fx.Node
    channel_dim: int


@dataclasses.dataclass(frozen=True)
class _Match:
    """A per-channel map, the operator before it, and the folded weights."""

    node: fx.Node
    producer: _Producer
    weight: torch.Tensor
    bias: torch.Tensor


class FoldAffineIntoProducer(ProgramPass):
    """conv → batch_norm  ⇒  conv.

    ``W' = W·γ/σ    b' = (b - μ)·γ/σ + β    σ = √(var + ε)``

    *Given* conv1d/2d/3d, their transposed forms (grouped too) or linear, read by one
    evaluation-mode batch_norm only, or by one other map per channel: a product or sum with numbers
    or stored tensors (layer scale). Between the two, dimensions may be permuted, as behind a linear
    layer on channels that stand last. *Result* the same operator with its own new weights: a weight
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
    producer = _producer_before(node)
    if producer is None:
        return None
    affine = _map_of(graph_module, node, producer)
    if affine is None:
        return None
    obstacle = _structural_obstacle(node, producer, written)
    if obstacle or isinstance(affine, str):
        return Refusal(node.name, obstacle or str(affine))
    folded = folded_weights(graph_module, producer.operator, affine)
    if isinstance(folded, str):
        return Refusal(node.name, folded)
    return _Match(node, producer, *folded)


def _producer_before(node: fx.Node) -> _Producer | None:
    """Return the one linear operator among the inputs of a node."""
    found = [_producer(each) for each in node.all_input_nodes]
    producers = [each for each in found if each is not None]
    return producers[0] if len(producers) == 1 else None


def _producer(node: fx.Node) -> _Producer | None:
    permuted = operator_name(node) == "permute"
    operator = read_linear_operator(arguments(node)["self"] if permuted else node)
    if operator is None or not permuted:
        return operator and _Producer(operator, node, operator.channel_dim)
    rank = value_of(node).ndim
    order = [dim % rank for dim in arguments(node)["dims"]]
    return _Producer(operator, node, order.index(operator.channel_dim % rank))


def _map_of(
    graph_module: fx.GraphModule, node: fx.Node, producer: _Producer
) -> Affine | str | None:
    """Return the node as a map of the operator's channels, why a normalization has none, or None.

    Of all other nodes nothing is said: most of them were never meant as a map per channel.
    """
    if operator_name(node) == "batch_norm":
        if producer.channel_dim != 1:
            return (
                f"it normalizes dimension 1, but the channels of {producer.operator.node.name} "
                f"lie in dimension {producer.channel_dim}"
            )
        is_input = arguments(node)["input"] is producer.result
        return batch_norm_map(graph_module, node) if is_input else None
    found = read_channel_affine(graph_module, node, producer.channel_dim)
    return found.affine if found is not None and found.input is producer.result else None


def _structural_obstacle(node: fx.Node, producer: _Producer, written: set[fx.Node]) -> str | None:
    operator = producer.operator.node
    for each in (operator, producer.result):
        if len(each.users) > 1:
            return f"{each.name} is also read: {readers(each)}"
    for each in (*operator.all_input_nodes[1:], operator, *node.all_input_nodes):
        if each in written:
            return f"{each.name} is written to in place"
    return None


def folded_weights(
    graph_module: fx.GraphModule, operator: LinearOperator, affine: Affine
) -> tuple[torch.Tensor, torch.Tensor] | str:
    """Return weights and bias of ``affine(operator)``, or why there are none."""
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
    store.give(match.producer.operator, match.weight, match.bias)
    replace(match.node, match.producer.result)
