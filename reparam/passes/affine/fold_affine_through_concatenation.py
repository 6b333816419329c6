"""Fold batch normalization into the convolutions whose results are joined before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.channel_ranges import channels, concatenated
from cnn_export.reparam.graph.linear_operators import LinearOperator, read_linear_operator
from cnn_export.reparam.graph.operators import readers
from cnn_export.reparam.graph.stored_weights import StoredWeights
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.passes.affine.affine_chain import AffineChain, read_chains
from cnn_export.reparam.passes.affine.batch_norm import Affine
from cnn_export.reparam.passes.affine.channel_affine import CHANNEL_DIM
from cnn_export.reparam.passes.affine.fold_affine_into_producer import folded_weights
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal


@dataclasses.dataclass(frozen=True)
class _Part:
    """One of the joined operators, and its folded weights."""

    operator: LinearOperator
    weight: torch.Tensor
    bias: torch.Tensor


class FoldAffineThroughConcatenation(ProgramPass):
    """batch_norm(cat([conv_1(x_1), …, conv_n(x_n)]))  ⇒  cat([conv_1'(x_1), …, conv_n'(x_n)]).

    ``W_i' = W_i·(γ/σ)_i    b_i' = (b_i - μ_i)·(γ/σ)_i + β_i``, each with its own channels' numbers

    *Given* batch norm, or other maps per channel, behind a concatenation along the channels that
    nothing else reads, of convolutions or linear layers that nothing else reads (mixed kernels:
    MixNet, arXiv 1907.09595). *Result* the same without the map: an operator and its
    multiplications less, and no weight more. If one part cannot take its channels over, the map
    stays whole: in parts it would be as many operators or more. MixNet-S has 334 operators so, 368
    without this pass, and no multiplication more than as it was trained.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Fold every map that all parts can take."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        store = StoredWeights(graph_module)
        for chain in read_chains(graph_module, written):
            joined = concatenated(chain.input)
            if joined is None or chain.channel_dim != CHANNEL_DIM:
                continue
            parts = _parts(graph_module, chain, joined, written)
            if isinstance(parts, str):
                refusals += [Refusal(chain.last.name, parts)] if chain.normalizes else []
                continue
            for part in parts:
                store.give(part.operator, part.weight, part.bias)
            replace(chain.last, chain.input)
            rewrites.append(chain.last.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _parts(
    graph_module: fx.GraphModule,
    chain: AffineChain,
    joined: Sequence[fx.Node],
    written: set[fx.Node],
) -> list[_Part] | str:
    """Return every joined operator with its folded weights, or why one has none."""
    if len(chain.input.users) > 1:
        return f"{chain.input.name} is also read: {readers(chain.input)}"
    if len(set(joined)) < len(joined):
        return f"{chain.input.name} joins one value twice"
    parts: list[_Part] = []
    sizes = [channels(each) or 0 for each in joined]
    scales, shifts = chain.affine.scale.split(sizes), chain.affine.shift.split(sizes)
    for node, scale, shift in zip(joined, scales, shifts, strict=True):
        part = _part(graph_module, node, Affine(scale, shift), written)
        if isinstance(part, str):
            return part
        parts.append(part)
    return parts


def _part(
    graph_module: fx.GraphModule, node: fx.Node, affine: Affine, written: set[fx.Node]
) -> _Part | str:
    operator = read_linear_operator(node)
    if operator is None or operator.channel_dim != CHANNEL_DIM:
        return f"{node.name} is no convolution: in parts the map would be as many operators"
    if len(node.users) > 1:
        return f"{node.name} is also read: {readers(node)}"
    changed = next((each for each in (node, *node.all_input_nodes) if each in written), None)
    if changed is not None:
        return f"{changed.name} is written to in place"
    folded = folded_weights(graph_module, operator, affine)
    return folded if isinstance(folded, str) else _Part(operator, *folded)
