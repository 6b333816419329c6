"""Batch normalization, scales and shifts: depthwise 1x1 convolutions."""

from __future__ import annotations

import math

from torch import fx

from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.passes.affine.channel_affine import read_channel_affine
from cnn_export.reparam.passes.branches.algebra.convolution_map import ConvolutionMap
from cnn_export.reparam.passes.branches.algebra.footprint import identity
from cnn_export.reparam.passes.branches.algebra.leaf import Leaf, NotLinear, image_size

_KNOWN = range(2, 6)


def read_per_channel(graph_module: fx.GraphModule, node: fx.Node) -> Leaf | NotLinear | None:
    """Read whatever ``read_channel_affine`` reads."""
    found = read_channel_affine(graph_module, node)
    if found is None or value_of(node).ndim not in _KNOWN:
        return None
    sizes = image_size(found.input)
    if sizes is None or math.prod(sizes[1]) == 0:
        return NotLinear("the size of its input is not known")
    weight = found.affine.scale.reshape(-1, 1, *[1] * len(sizes[1]))
    found_map = ConvolutionMap(identity(*sizes), weight, found.affine.shift)
    return Leaf(node, found.input, found_map)
