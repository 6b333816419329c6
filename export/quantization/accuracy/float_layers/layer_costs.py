"""What a graph's layers cost in float: multiply-accumulates, and the bytes of their weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import fx

from cnn_export.quantization.accuracy.float_layers.sensitivity import LayerCost
from cnn_export.reparam.cost import node_macs
from cnn_export.reparam.graph.linear_operators import read_linear_operator
from cnn_export.reparam.graph.operators import value_of

_SAVED_BYTES = 3
"""By an int8 weight, against float32's four."""


def layer_costs(
    graph_module: fx.GraphModule, names: Mapping[str, str] | None = None
) -> tuple[LayerCost, ...]:
    """Return the cost of each layer with weights, in the graph's order.

    ``names`` calls layers by node name as people know them (the node's own name else).
    """
    found: list[LayerCost] = []
    for node in graph_module.graph.nodes:
        operator = read_linear_operator(node)
        if operator is None:
            continue
        size: Any = value_of(node).shape[0]
        batch = size if isinstance(size, int) else 1  # a symbolic batch counts as one there, too
        elements = math.prod(value_of(operator.weight).shape)
        shown = str((names or {}).get(node.name, node.name))
        found.append(LayerCost(shown, node_macs(node) // batch, _SAVED_BYTES * elements))
    return tuple(found)
