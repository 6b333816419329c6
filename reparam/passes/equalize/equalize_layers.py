"""Balance the ranges of channels between successive layers, for quantization per tensor."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import (
    LinearOperator,
    read_linear_operator,
    with_weights,
)
from cnn_export.reparam.graph.surgery import insert_constant
from cnn_export.reparam.passes.equalize.equalization import (
    LayerWeights,
    equalizing_scales,
    is_equalized,
)
from cnn_export.reparam.passes.equalize.layer_pairs import LayerPair, find_pair, tied_names
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

MAX_SWEEPS = 200
"""Sweeps over all pairs in one run; MobileNetV2 needs 6, with ReLU 19, a chain of 13 layers 46."""

_Layers = dict[fx.Node, LayerWeights]


class EqualizeLayers(ProgramPass):
    """``W2·f(W1·x + b1)  ⇒  (W2·S)·f(S⁻¹·W1·x + S⁻¹·b1)``, ``S = diag(√(r1·r2) / r2)``.

    ``r1`` and ``r2`` are ``max |W|`` of the channel in the first and the second layer; both become
    ``√(r1·r2)``. *Given* convolution, transposed convolution or linear, then operators with
    ``f(s·x) = s·f(x)`` for ``s > 0`` (none, ReLU, leaky ReLU, PReLU, pools, means, zero padding),
    then another such layer that alone reads the result. *Result* the same layers with scaled
    weights; chains, depthwise layers between included, are swept until nothing moves.

    ReLU6 is not homogeneous: it is crossed only in channels that cannot reach 6, neither before
    nor after, for any input. That is known where the first layer's own input is bounded.

    Not among the default passes: it changes nothing in floating point. Source: arXiv 1906.04721.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Equalize every pair whose ranges differ by more than the tolerance."""
        pairs, refusals = _pairs(graph_module)
        given = {
            operator.node: _read(graph_module, operator)
            for pair in pairs
            for operator in (pair.first, pair.second)
        }
        layers = dict(given)
        moved: set[fx.Node] = set()
        for _ in range(MAX_SWEEPS):
            changed = _sweep(pairs, layers)
            moved |= changed
            if not changed:
                break
        for pair in pairs:
            refusals += _clip_refusals(pair, layers[pair.first.node])
        for node, layer in layers.items():
            if layer is not given[node]:
                _store(graph_module, node, layer)
        rewrites = tuple(pair.first.node.name for pair in pairs if pair.first.node in moved)
        return PassResult(self.name, rewrites, tuple(refusals))


def _pairs(graph_module: fx.GraphModule) -> tuple[list[LayerPair], list[Refusal]]:
    pairs: list[LayerPair] = []
    refusals: list[Refusal] = []
    written, tied = written_nodes(graph_module.graph), tied_names(graph_module.graph)
    for node in graph_module.graph.nodes:
        operator = read_linear_operator(node)
        found = operator and find_pair(graph_module, operator, written, tied)
        if isinstance(found, LayerPair):
            pairs.append(found)
        elif found is not None:
            refusals.append(found)
    return pairs, refusals


def _read(graph_module: fx.GraphModule, operator: LinearOperator) -> LayerWeights:
    weight, bias = (constant(graph_module, node) for node in (operator.weight, operator.bias))
    if weight is None:
        raise ValueError(f"{operator.node.name} has no stored weight")
    return LayerWeights(
        weight.double(),
        None if bias is None else bias.double(),
        operator.groups,
        operator.transposed,
    )


def _sweep(pairs: list[LayerPair], layers: _Layers) -> set[fx.Node]:
    """Equalize each pair once, in graph order; return the first layers of those that moved."""
    moved: set[fx.Node] = set()
    for pair in pairs:
        first, second = pair.first.node, pair.second.node
        scales = equalizing_scales(layers[first], layers[second], pair.clip)
        if is_equalized(scales):
            continue
        layers[first] = layers[first].divide_outputs(scales)
        layers[second] = layers[second].multiply_inputs(scales)
        moved.add(first)
    return moved


def _clip_refusals(pair: LayerPair, first: LayerWeights) -> list[Refusal]:
    blocked = 0 if pair.clip is None else pair.clip.blocked(first)
    if pair.clip is None or not blocked:
        return []
    count = len(first.output_ranges)
    return [
        Refusal(
            pair.first.node.name,
            f"{blocked} of {count} channels may reach the clip at {pair.clip.high:g}",
        )
    ]


def _store(graph_module: fx.GraphModule, node: fx.Node, layer: LayerWeights) -> None:
    operator = read_linear_operator(node)
    if operator is None:
        raise ValueError(f"{node.name} is no layer any more")

    def stored(old: fx.Node, value: torch.Tensor, part: str) -> fx.Node:
        dtype = old.meta["val"].dtype
        stem = str(operator.weight.target).removesuffix(".weight").removesuffix("_equalized_weight")
        hint = f"{stem}_equalized_{part}"
        return insert_constant(graph_module, hint, value.to(dtype), before=node, like=node)

    weight = stored(operator.weight, layer.weight, "weight")
    bias = operator.bias
    if bias is not None and layer.bias is not None:
        bias = stored(bias, layer.bias, "bias")
    with_weights(operator, weight, bias)
