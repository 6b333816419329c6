"""Spatial slices: crops, and every n-th position."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.passes.branches.algebra.footprint import Axis
from cnn_export.reparam.passes.branches.algebra.leaf import (
    LEADING_DIMS,
    Leaf,
    NotLinear,
    depthwise,
    image_size,
)


def read_slice(_: fx.GraphModule, node: fx.Node) -> Leaf | NotLinear | None:
    """Read ``slice`` along a spatial dimension: ``y[i] = x[start + i · step]``."""
    if operator_name(node) != "slice":
        return None
    bound = arguments(node)
    source: fx.Node = bound["self"]
    rank = value_of(source).ndim
    dim = bound["dim"] % rank
    if dim < LEADING_DIMS:
        return None
    sizes, outputs = image_size(source), image_size(node)
    start, step = bound["start"] or 0, bound["step"]
    if sizes is None or outputs is None or not isinstance(start, int):
        return NotLinear("the size of its input is not known")
    size = sizes[1][dim - LEADING_DIMS]
    first = min(max(start + size if start < 0 else start, 0), size)
    axes = tuple(
        Axis((first,), step, size_in, size_out)
        if axis == dim - LEADING_DIMS
        else Axis((0,), 1, size_in, size_out)
        for axis, (size_in, size_out) in enumerate(zip(sizes[1], outputs[1], strict=True))
    )
    weight = torch.ones([1] * len(axes), dtype=torch.float64)
    return Leaf(node, source, depthwise(sizes[0], axes, weight), multiplies=False)
