"""Let a network that expects normalized images take raw pixels."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import fx
from torch.fx.node import map_arg

from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.graph.surgery import insert_call, insert_constant
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_IMAGE_RANK = 4
_DONE = "takes_pixels"
"""Key in an input's ``meta``: after other passes the numbers may stand in a convolution."""


class NormalizePixels(ProgramPass):
    """network(x)  ⇒  network(x·scale + offset), with one number per channel, or one for all.

    *Given* a graph with one floating input (N, C, H, W). *Result* the graph of the network that a
    caller hands images to who has not normalized them; the passes that follow fold both numbers
    into what reads the image.

    It changes the function, as asked, and by nothing else (see
    :mod:`cnn_export.reparam.proof.input_map`).
    """

    def __init__(self, scale: torch.Tensor, offset: torch.Tensor) -> None:
        self.scale = scale.reshape(1, -1, 1, 1)
        self.offset = offset.reshape(1, -1, 1, 1)

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Normalize in front of everything that reads the image."""
        inputs = graph_module.graph.find_nodes(op="placeholder")
        image = inputs[0]
        if _DONE in image.meta or not image.users:
            return PassResult(self.name)
        obstacle = self._obstacle(inputs)
        if obstacle is not None:
            return PassResult(self.name, refusals=(Refusal(image.name, obstacle),))
        image.meta[_DONE] = True
        _insert(graph_module, image, self.scale, self.offset)
        return PassResult(self.name, (image.name,))

    def _obstacle(self, inputs: Sequence[fx.Node]) -> str | None:
        if len(inputs) != 1:
            return f"one of {len(inputs)} inputs: which of them is the image is not known"
        value = value_of(inputs[0])
        if value.ndim != _IMAGE_RANK or not value.is_floating_point():
            return f"no floating image, but {value.dtype} of rank {value.ndim}"
        count, channels = self.scale.numel(), value.shape[1]
        return None if count in (1, channels) else f"{channels} channels for {count} numbers"


def _insert(
    graph_module: fx.GraphModule, image: fx.Node, scale: torch.Tensor, offset: torch.Tensor
) -> None:
    """Let every reader of the image read ``image·scale + offset``, named as a trace names it."""
    before, readers, dtype = image.next, list(image.users), value_of(image).dtype
    value, names = image, dict[fx.Node, str]()
    for hint, numbers, name, operator in (
        ("scale", scale, "mul", _aten.mul.Tensor),
        ("offset", offset, "add", _aten.add.Tensor),
    ):
        stored = insert_constant(
            graph_module, hint, numbers.to(dtype), before=before, like=readers[0], is_weight=False
        )
        value = insert_call(
            graph_module.graph, operator, (value, stored), before=before, like=readers[0]
        )
        names[value] = name
        _lift_out(value)
    for reader in readers:
        reader.replace_input_with(image, value)
    graph_module.graph = _numbered(graph_module.graph, names)


def _lift_out(node: fx.Node) -> None:
    """Let a node belong to the network itself, not to the layer that reads the image first."""
    stack = node.meta.get("nn_module_stack", {})
    node.meta["nn_module_stack"] = dict(list(stack.items())[:1])


def _numbered(graph: fx.Graph, names: Mapping[fx.Node, str]) -> fx.Graph:
    """Return a copy in which operators of one kind are numbered in order, those named included.

    Later passes call what they store after operators, and artifacts hold those names.
    """
    result = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        args, kwargs = map_arg((node.args, node.kwargs), copies.__getitem__)
        name = names.get(node, node.name)
        copies[node] = result.create_node(node.op, node.target, args, kwargs, name, node.type)
        copies[node].meta = copy.copy(node.meta)
    return result
