"""Read a layer's integers from the constants of a quantized graph, in every spelling."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.quantization.emulation.grid import Grid, grid_of
from cnn_export.quantization.emulation.layers import Layer
from cnn_export.quantization.insertion.decomposed import (
    DEQUANTIZE_PER_CHANNEL,
    QUANTIZE_PER_CHANNEL,
)
from cnn_export.quantization.insertion.integers import weight_integers
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import LinearOperator
from cnn_export.reparam.graph.operators import arguments, operator_name

_TENSORS = ("input", "weight", "bias")


def read_layer(graph_module: fx.GraphModule, operator: LinearOperator) -> Layer | None:
    """Return the layer in integers, or ``None`` where its weights or bias are none."""
    read = _weight(graph_module, operator.weight)
    if read is None:
        return None
    weight, scales = read
    source = grid_of(operator.input)
    bias = _bias(graph_module, operator.bias, scales, source)
    if bias is None:
        return None
    bound = arguments(operator.node)
    return Layer(
        operator=operator_name(operator.node),
        weight=weight.float(),
        scales=scales,
        bias=bias,
        options={name: value for name, value in bound.items() if name not in _TENSORS},
        channel_dim=operator.channel_dim,
        source=source,
    )


def _weight(
    graph_module: fx.GraphModule, node: fx.Node
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the integers and their scales, which lie behind a dequantize by channels."""
    if node.target is not DEQUANTIZE_PER_CHANNEL:
        return None
    bound = arguments(node)
    stored, scales = bound["input"], constant(graph_module, bound["scales"])
    if scales is None:
        return None
    if stored.target is QUANTIZE_PER_CHANNEL:
        real = constant(graph_module, arguments(stored)["input"])
        return None if real is None else (weight_integers(real, scales, bound["axis"]), scales)
    integers = constant(graph_module, stored)
    return None if integers is None else (integers, scales)


def _bias(
    graph_module: fx.GraphModule, node: fx.Node | None, scales: torch.Tensor, source: Grid
) -> torch.Tensor | None:
    """Return the bias in steps of ``s_x·s_w``, ``None`` where it is not stored.

    Float biases lie on that grid.
    """
    if node is None:
        return torch.zeros(len(scales), dtype=torch.float64)
    if node.target is DEQUANTIZE_PER_CHANNEL:
        node = arguments(node)["input"]
    stored = constant(graph_module, node)
    if stored is None or not stored.is_floating_point():
        return None if stored is None else stored.double()
    return (stored.double() / (scales.double() * source.scale)).round()
