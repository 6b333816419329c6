"""Padding and cropping: a shifted identity that reads outside its source."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.passes.branches.algebra.footprint import ZEROS, Axis
from cnn_export.reparam.passes.branches.algebra.leaf import (
    LEADING_DIMS,
    Leaf,
    NotLinear,
    depthwise,
    image_size,
)


def read_padding(_: fx.GraphModule, node: fx.Node) -> Leaf | NotLinear | None:
    """Read ``pad`` with zeros, reflected, replicated or circular values on spatial dimensions."""
    name = operator_name(node)
    if name not in ("pad", "constant_pad_nd"):
        return None
    bound = arguments(node)
    source: fx.Node = bound["self"]
    sizes, outputs = image_size(source), image_size(node)
    spatial = value_of(source).ndim - LEADING_DIMS
    widths = list(bound["pad"])
    if sizes is None or outputs is None or not all(isinstance(each, int) for each in widths):
        return NotLinear("the size of its input is not known")
    if any(widths[2 * spatial :]):
        return NotLinear("it pads channels or the batch")
    mode = bound.get("mode", ZEROS)
    if mode == ZEROS and bound["value"] not in (None, 0):
        return NotLinear(f"it pads with {bound['value']}")
    widths += [0] * (2 * spatial - len(widths))
    before = widths[2 * spatial - 2 :: -2] if spatial else []
    axes = tuple(
        Axis((-width,), 1, size_in, size_out, mode)
        for width, size_in, size_out in zip(before, sizes[1], outputs[1], strict=True)
    )
    weight = torch.ones([1] * spatial, dtype=torch.float64)
    return Leaf(node, source, depthwise(sizes[0], axes, weight), multiplies=False)
