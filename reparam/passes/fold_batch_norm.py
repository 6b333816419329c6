"""Fold batch normalization into the convolution or fully connected layer before it."""

from __future__ import annotations

import dataclasses

import torch
from torch import fx

from cnn_export.reparam.aliases import written_nodes
from cnn_export.reparam.attributes import constant
from cnn_export.reparam.batch_norm import fold_affine
from cnn_export.reparam.channel_affine import batch_norm_map
from cnn_export.reparam.linear_operators import (
    LinearOperator,
    read_linear_operator,
    with_weights,
)
from cnn_export.reparam.operators import arguments, operator_name, readers
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal
from cnn_export.reparam.surgery import insert_constant, replace


@dataclasses.dataclass(frozen=True)
class _Match:
    """A batch normalization, the operator before it, and the folded weights."""

    batch_norm: fx.Node
    operator: LinearOperator
    weight: torch.Tensor
    bias: torch.Tensor


class FoldBatchNorm(ProgramPass):
    """conv → batch_norm  ⇒  conv.

    ``W' = W·γ/σ    b' = (b - μ)·γ/σ + β    σ = √(var + ε)``

    *Given* conv1d/2d/3d, their transposed forms (grouped too) or linear, read by one
    evaluation-mode batch_norm only. *Result* the same operator with its own new weights: a weight
    that other operators share stays as it is for them. Source: arXiv 1502.03167, section 3.1.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Fold every batch normalization that can be folded."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "batch_norm":
                continue
            match = _match(graph_module, node, written)
            if isinstance(match, Refusal):
                refusals.append(match)
            else:
                _fold(graph_module, match)
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _match(graph_module: fx.GraphModule, node: fx.Node, written: set[fx.Node]) -> _Match | Refusal:
    operator = read_linear_operator(arguments(node)["input"])
    if operator is None:
        return Refusal(node.name, f"no convolution before it but {arguments(node)['input'].name}")
    reason = _structural_obstacle(node, operator, written)
    if reason:
        return Refusal(node.name, reason)
    weight = constant(graph_module, operator.weight)
    bias = constant(graph_module, operator.bias)
    if weight is None or (operator.bias is not None and bias is None):
        return Refusal(node.name, f"the weights of {operator.node.name} are computed in the graph")
    affine = batch_norm_map(graph_module, node)
    if isinstance(affine, str):
        return Refusal(node.name, affine)
    folded = fold_affine(
        weight, bias, affine, groups=operator.groups, transposed=operator.transposed
    )
    if not all(bool(tensor.isfinite().all()) for tensor in folded):
        return Refusal(node.name, f"the folded weights are not finite in {weight.dtype}")
    return _Match(node, operator, *folded)


def _structural_obstacle(
    node: fx.Node, operator: LinearOperator, written: set[fx.Node]
) -> str | None:
    if len(operator.node.users) > 1:
        return f"{operator.node.name} is also read: {readers(operator.node)}"
    if operator.channel_dim != 1:
        return (
            f"it normalizes dimension 1, but the channels of {operator.node.name} "
            f"lie in dimension {operator.channel_dim}"
        )
    changed = [
        each
        for each in (*operator.node.all_input_nodes[1:], *node.all_input_nodes)
        if each in written
    ]
    if changed:
        return f"{changed[0].name} is written to in place"
    return None


def _fold(graph_module: fx.GraphModule, match: _Match) -> None:
    operator, node = match.operator, match.operator.node
    stem = str(operator.weight.target).removesuffix(".weight")
    weight = insert_constant(
        graph_module, f"{stem}_folded_weight", match.weight, before=node, like=node
    )
    bias = insert_constant(graph_module, f"{stem}_folded_bias", match.bias, before=node, like=node)
    with_weights(operator, weight, bias)
    replace(match.batch_norm, node)
