"""Give the decided layers integer weights and biases."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.quantization.decision import WEIGHT_MAX, Decision, LayerWeights
from cnn_export.quantization.insertion.decomposed import (
    DEQUANTIZE_PER_CHANNEL,
    QUANTIZE_PER_CHANNEL,
)
from cnn_export.quantization.insertion.integers import (
    BIAS_MAX,
    BIAS_MIN,
    along,
    bias_integers,
    weight_integers,
)
from cnn_export.quantization.insertion.shared_constants import SharedConstants
from cnn_export.quantization.spelling import Spelling
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import (
    LinearOperator,
    read_linear_operator,
    with_weights,
)
from cnn_export.reparam.graph.surgery import insert_call

_WEIGHT_RANGE = (-WEIGHT_MAX, WEIGHT_MAX, torch.int8)
_BIAS_RANGE = (BIAS_MIN, BIAS_MAX, torch.int32)


def weight_channel_dim(operator: LinearOperator) -> int:
    """Return the dimension of the weight that output channels lie in."""
    return 1 if operator.transposed else 0


def insert_layers(graph_module: fx.GraphModule, decision: Decision, spelling: Spelling) -> None:
    """Replace the weights and biases of every layer in ``decision.weights``, in place.

    A layer whose input is an integer gets an integer bias, zero where it had none, so that every
    converter sees one form. Elsewhere, where only weights are integers, biases stay float.

    Raises:
        ValueError: a decided layer is none, or its weights are not stored.
    """
    writer = _LayerWriter(graph_module, spelling)
    nodes = {node.name: node for node in graph_module.graph.nodes}
    for name, weights in decision.weights.items():
        operator = read_linear_operator(nodes[name]) if name in nodes else None
        if operator is None:
            raise ValueError(f"{name} is no layer of this graph")
        scale = decision.tensors.get(operator.input.name)
        writer.write(operator, weights, None if scale is None else scale.scale)


class _LayerWriter:
    """Writes one layer after the other; equal constants of one layer are stored once."""

    def __init__(self, graph_module: fx.GraphModule, spelling: Spelling) -> None:
        self._graph_module = graph_module
        self._spelling = spelling
        self._constants = SharedConstants(graph_module)

    def write(
        self, operator: LinearOperator, weights: LayerWeights, input_scale: float | None
    ) -> None:
        scales = torch.tensor(weights.scales, dtype=torch.float32)
        with_weights(
            operator,
            self._insert_weight(operator, scales),
            self._insert_bias(operator, weights, scales, input_scale),
        )

    def _insert_weight(self, operator: LinearOperator, scales: torch.Tensor) -> fx.Node:
        dim = weight_channel_dim(operator)
        value = _stored(self._graph_module, operator.weight)
        integers = weight_integers(value, scales, dim)
        stem, node = str(operator.weight.target), operator.node
        # A product of two float32 numbers is exact in float64: rounded once, as runtimes do.
        on_grid = (integers.double() * along(scales.double(), dim, value.ndim)).float()
        if self._spelling.weights == "rounded":
            return self._constants.insert(f"{stem}_on_grid", on_grid, before=node)
        grid = self._insert_grid(stem, scales, node)
        if self._spelling.weights == "constant":
            read = self._constants.insert(f"{stem}_int8", integers, before=node)
        else:
            read = self._constants.insert(f"{stem}_on_grid", on_grid, before=node)
            args = (read, *grid, dim, *_WEIGHT_RANGE)
            read = insert_call(node.graph, QUANTIZE_PER_CHANNEL, args, before=node, like=node)
        args = (read, *grid, dim, *_WEIGHT_RANGE)
        return insert_call(node.graph, DEQUANTIZE_PER_CHANNEL, args, before=node, like=node)

    def _insert_bias(
        self,
        operator: LinearOperator,
        weights: LayerWeights,
        scales: torch.Tensor,
        input_scale: float | None,
    ) -> fx.Node | None:
        if input_scale is None and not weights.bias_correction:
            return operator.bias
        bias = self._corrected_bias(operator, weights, scales)
        stem, node = f"{operator.weight.target}_bias", operator.node
        if input_scale is None:
            return self._constants.insert(f"{stem}_corrected", bias.float(), before=node)
        integers = bias_integers(bias, input_scale, scales)
        steps = scales.double() * input_scale
        if self._spelling.biases == "float":
            on_grid = (integers.double() * steps).float()
            return self._constants.insert(f"{stem}_on_grid", on_grid, before=node)
        read = self._constants.insert(f"{stem}_int32", integers, before=node)
        args = (read, *self._insert_grid(stem, steps.float(), node), 0, *_BIAS_RANGE)
        return insert_call(node.graph, DEQUANTIZE_PER_CHANNEL, args, before=node, like=node)

    def _corrected_bias(
        self, operator: LinearOperator, weights: LayerWeights, scales: torch.Tensor
    ) -> torch.Tensor:
        """Return the layer's bias in float64, zeros where it has none, plus the correction."""
        bias = torch.zeros(len(scales), dtype=torch.float64)
        if operator.bias is not None:
            bias = bias + _stored(self._graph_module, operator.bias).double()
        if weights.bias_correction:
            bias = bias + torch.tensor(weights.bias_correction, dtype=torch.float64)
        return bias

    def _insert_grid(
        self, stem: str, scales: torch.Tensor, node: fx.Node
    ) -> tuple[fx.Node, fx.Node]:
        zero_points = torch.zeros(len(scales), dtype=torch.int64)
        return (
            self._constants.insert(f"{stem}_scales", scales, before=node),
            self._constants.insert(f"{stem}_zero_points", zero_points, before=node),
        )


def _stored(graph_module: fx.GraphModule, node: fx.Node) -> torch.Tensor:
    value = constant(graph_module, node)
    if value is None:
        raise ValueError(f"{node.name} is computed in the graph; only stored weights are integers")
    return value
