"""Average pools: depthwise convolutions with one constant weight."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, expand_list, operator_name, value_of
from cnn_export.reparam.passes.branches.algebra.footprint import Axis
from cnn_export.reparam.passes.branches.algebra.leaf import Leaf, NotLinear, depthwise, image_size

_POOLS = {"avg_pool1d": 1, "avg_pool2d": 2, "avg_pool3d": 3}


def read_average_pool(_: fx.GraphModule, node: fx.Node) -> Leaf | NotLinear | None:
    """Read an average pool whose windows all have the same divisor."""
    spatial = _POOLS.get(operator_name(node))
    if spatial is None or value_of(node).ndim != spatial + 2:
        return None
    bound = arguments(node)
    source: fx.Node = bound["self"]
    sizes, outputs = image_size(source), image_size(node)
    if sizes is None or outputs is None:
        return NotLinear("the size of its input is not known")
    kernels = expand_list(bound["kernel_size"], spatial)
    strides = expand_list(bound["stride"] or bound["kernel_size"], spatial)
    pads = expand_list(bound["padding"], spatial)
    axes = tuple(
        Axis(tuple(k - pad for k in range(kernel)), stride, size_in, size_out)
        for kernel, pad, stride, size_in, size_out in zip(
            kernels, pads, strides, sizes[1], outputs[1], strict=True
        )
    )
    if _divisors_differ(bound, axes, pads):
        return NotLinear("its windows at the border average fewer positions")
    divisor = bound.get("divisor_override") or math.prod(kernels)
    weight = torch.full(kernels, 1.0 / divisor, dtype=torch.float64)
    return Leaf(node, source, depthwise(sizes[0], axes, weight))


def _divisors_differ(bound: dict[str, Any], axes: tuple[Axis, ...], pads: tuple[int, ...]) -> bool:
    """A fixed divisor holds everywhere; otherwise windows beyond the (counted) padding differ."""
    if bound.get("divisor_override"):
        return False
    if bound["count_include_pad"]:
        return any(axis.after > pad for axis, pad in zip(axes, pads, strict=True))
    return any(axis.reads_outside for axis in axes)
