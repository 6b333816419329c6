"""Fully connected layers on (batch, features): convolutions without spatial dimensions."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.passes.branches.algebra.convolution_map import ConvolutionMap
from cnn_export.reparam.passes.branches.algebra.footprint import Footprint
from cnn_export.reparam.passes.branches.algebra.leaf import Leaf, NotLinear

_RANK = 2


def read_fully_connected(graph_module: fx.GraphModule, node: fx.Node) -> Leaf | NotLinear | None:
    """Read ``linear`` on a matrix; on more dimensions its channels do not lie in dimension 1."""
    if operator_name(node) != "linear" or value_of(node).ndim != _RANK:
        return None
    bound = arguments(node)
    weight, bias = constant(graph_module, bound["weight"]), constant(graph_module, bound["bias"])
    if weight is None or (bound["bias"] is not None and bias is None):
        return NotLinear("its weights are computed in the graph")
    footprint = Footprint(weight.shape[1], weight.shape[0], 1, ())
    shift = weight.new_zeros(weight.shape[0]) if bias is None else bias
    found = ConvolutionMap(footprint, weight.double(), shift.double())
    return Leaf(node, bound["input"], found)
