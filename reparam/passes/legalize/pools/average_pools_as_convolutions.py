"""Spell average pools as depthwise convolutions, which integer kernels round like any layer."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.passes.branches.algebra.footprint import NotRepresentable
from cnn_export.reparam.passes.branches.algebra.leaf import NotLinear, image_size
from cnn_export.reparam.passes.branches.algebra.operators.average_pool import read_average_pool
from cnn_export.reparam.passes.branches.algebra.writing import MergedTensors, insert_convolution
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_SPATIAL = [2, 3]


class AveragePoolsAsConvolutions(ProgramPass):
    """avg_pool2d(x, k)  ⇒  conv2d(x, W) with one group a channel, W = 1/k².

    avg_pool2d(x, size of x)  ⇒  mean(x, (2, 3), keepdim)

    *Given* an average pool whose windows all have one divisor. *Result* the same sum as a layer:
    in int8 it is requantized like every other and may have a scale of its own, where a pool that
    shares its input's scale divides with ties, which runtimes round differently. A window of the
    whole map is the mean that it is elsewhere in the graph; its kernel would be as large.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such pool."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        tensors = MergedTensors(graph_module)
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "avg_pool2d":
                continue
            result = _respell(graph_module, node, tensors)
            if isinstance(result, fx.Node):
                replace(node, result)
                rewrites.append(node.name)
            else:
                refusals.append(Refusal(node.name, result))
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _respell(graph_module: fx.GraphModule, node: fx.Node, tensors: MergedTensors) -> fx.Node | str:
    """Return the mean or convolution in front of ``node``, or why there is none."""
    leaf = read_average_pool(graph_module, node)
    if leaf is None:
        return f"its input has {value_of(arguments(node)['self']).ndim} dimensions"
    if isinstance(leaf, NotLinear):
        return leaf.reason
    if _is_mean(leaf.input, node):
        args = (leaf.input, _SPATIAL, True)
        return insert_call(node.graph, _aten.mean.dim, args, before=node, like=node)
    try:
        return insert_convolution(tensors, leaf.map, leaf.input, before=node)
    except NotRepresentable as obstacle:
        return str(obstacle)


def _is_mean(source: fx.Node, node: fx.Node) -> bool:
    """Whether one window without padding averages the whole map."""
    bound, sizes = arguments(node), image_size(source)
    kernel = static_sizes(bound["kernel_size"])
    if sizes is None or kernel is None or bound["divisor_override"] is not None:
        return False
    whole = tuple(value_of(node).shape[2:]) == (1, 1) and not any(bound["padding"])
    return whole and (kernel * 2)[:2] == sizes[1]
