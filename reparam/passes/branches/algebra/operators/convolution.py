"""Convolutions of any rank, groups, stride, dilation and padding, with stored weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import CONVOLUTIONS
from cnn_export.reparam.graph.operators import arguments, expand_list, operator_name, value_of
from cnn_export.reparam.passes.branches.algebra.convolution_map import ConvolutionMap
from cnn_export.reparam.passes.branches.algebra.footprint import Axis, Footprint
from cnn_export.reparam.passes.branches.algebra.leaf import Leaf, NotLinear, image_size


def read_convolution(graph_module: fx.GraphModule, node: fx.Node) -> Leaf | NotLinear | None:
    """Read ``conv1d``, ``conv2d`` and ``conv3d``."""
    spatial = CONVOLUTIONS.get(operator_name(node))
    if spatial is None or value_of(node).ndim != spatial + 2:
        return None
    bound = arguments(node)
    source: fx.Node = bound["input"]
    sizes, outputs = image_size(source), image_size(node)
    if sizes is None or outputs is None:
        return NotLinear("the size of its input is not known")
    weight, bias = constant(graph_module, bound["weight"]), constant(graph_module, bound["bias"])
    if weight is None or (bound["bias"] is not None and bias is None):
        return NotLinear("its weights are computed in the graph")
    before = _padding_before(bound, weight, spatial)
    strides, steps = (expand_list(bound[key], spatial) for key in ("stride", "dilation"))
    axes = tuple(
        Axis(tuple(k * step - pad for k in range(kernel)), stride, size_in, size_out)
        for kernel, step, pad, stride, size_in, size_out in zip(
            weight.shape[2:], steps, before, strides, sizes[1], outputs[1], strict=True
        )
    )
    footprint = Footprint(sizes[0], outputs[0], bound["groups"], axes)
    shift = weight.new_zeros(outputs[0]) if bias is None else bias
    return Leaf(node, source, ConvolutionMap(footprint, weight.double(), shift.double()))


def _padding_before(bound: dict[str, Any], weight: torch.Tensor, spatial: int) -> tuple[int, ...]:
    """Return the padding in front; ``same`` puts the odd position behind."""
    padding = bound["padding"]
    if padding == "valid":
        return (0,) * spatial
    if padding == "same":
        steps = expand_list(bound["dilation"], spatial)
        return tuple(
            step * (kernel - 1) // 2 for step, kernel in zip(steps, weight.shape[2:], strict=True)
        )
    return expand_list(padding, spatial)
