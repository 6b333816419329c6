"""Integers for weights alone: a quarter of the bytes, activations as they are."""

from __future__ import annotations

from torch import fx

from cnn_export.quantization.decision import Decision, LayerWeights
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.quantization.scheme.placement.layer_names import nodes_called
from cnn_export.quantization.scheme.placement.operators import (
    IntegerOperator,
    read_integer_operator,
)
from cnn_export.quantization.scheme.weights import LayerWeightValues
from cnn_export.reparam.graph.linear_operators import (
    CONVOLUTIONS,
    TRANSPOSED_CONVOLUTIONS,
    read_linear_operator,
)
from cnn_export.reparam.graph.operators import operator_name


def decide_weights(graph_module: fx.GraphModule, options: SchemeOptions | None = None) -> Decision:
    """Decide int8 weights for every layer that could be integer, without any data.

    No tensor is decided; sums and products, which have no weights, are not spoken of.

    Raises:
        UsageError: ``options.keep_float`` names a layer that is not there.
    """
    options = options or SchemeOptions()
    named = nodes_called(graph_module, options.keep_float)
    weights: dict[str, LayerWeights] = {}
    kept: dict[str, str] = {}
    for node in graph_module.graph.nodes:
        if read_linear_operator(node) is None:
            continue
        found = read_integer_operator(graph_module, node)
        if node.name in named:
            kept[node.name] = f"{named[node.name]} is kept float as asked"
        elif isinstance(found, IntegerOperator) and found.layer is not None:
            values = LayerWeightValues(graph_module, found.layer)
            scales = values.scales_alone(per_tensor=options.per_tensor_weights)
            weights[node.name] = LayerWeights(tuple(scales.tolist()))
        else:
            kept[node.name] = _obstacle(operator_name(node), str(found))
    return Decision({}, weights, kept)


def _obstacle(name: str | None, obstacle: str) -> str:
    """Return why a layer's weights stay float: what integers lack is no reason by itself."""
    if name in TRANSPOSED_CONVOLUTIONS:
        return "weights of transposed convolutions are not stored in int8 here"
    if name in CONVOLUTIONS and name != "conv2d":
        return f"weights of {name} are not stored in int8 here, only those of conv2d and linear"
    return obstacle
