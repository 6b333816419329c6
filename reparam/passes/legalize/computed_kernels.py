"""Keep a kernel that the network computes in the order that a convolution takes it in."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.graph.surgery import insert_call
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten


class ComputedKernels(ProgramPass):
    """conv2d(x, k)  ⇒  conv2d(x, reshape(reshape(k, [o, i·h·w]), [o, i, h, w])).

    *Given* a convolution whose kernel is a map of the network itself, as trackers correlate.
    *Result* the same values in the same order. litert-torch moves maps to channels last, and takes
    such a kernel for one in its own order: what it makes is refused by its shapes, or computes
    something else (2.8 of the output's RMS in a small tracker). Two dimensions have one order only.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Reshape every such kernel."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            kernel = _computed_kernel(node)
            if kernel is None:
                continue
            shape: list[Any] = list(value_of(kernel).shape)
            if not all(isinstance(size, int) for size in shape):
                refusals.append(Refusal(node.name, "the size of its kernel is the batch's"))
                continue
            flat = _insert_reshape(kernel, [shape[0], -1], node)
            node.replace_input_with(kernel, _insert_reshape(flat, shape, node))
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _computed_kernel(node: fx.Node) -> fx.Node | None:
    if operator_name(node) != "conv2d":
        return None
    bound = arguments(node)
    kernel = bound["weight"]
    if kernel is bound["input"] or kernel.op != "call_function" or _keeps_its_order(kernel):
        return None
    return kernel


def _keeps_its_order(kernel: fx.Node) -> bool:
    """Whether it was reshaped from anything but a map."""
    return (
        operator_name(kernel) in ("reshape", "view")
        and value_of(arguments(kernel)["self"]).dim() != 4
    )


def _insert_reshape(source: fx.Node, shape: list[int], convolution: fx.Node) -> fx.Node:
    args = (source, shape)
    target = _aten.reshape.default
    return insert_call(source.graph, target, args, before=convolution, like=source)
