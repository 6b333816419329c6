"""Run networks on lines (N, C, L) as networks on images of one row."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import (
    arguments,
    expand_list,
    has_tensor,
    operator_name,
    value_of,
)
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass

_aten = torch.ops.aten
_LINE_RANK = 3
_ROW = 2
_STARTS = ("conv1d", "conv_transpose1d", "max_pool1d", "avg_pool1d")
_UNARY = frozenset(
    {"relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "sigmoid", "tanh", "silu", "gelu"}
    | {"leaky_relu", "elu", "selu", "celu", "softplus", "mish", "clamp", "clamp_min", "clamp_max"}
    | {"abs", "neg", "exp", "log", "sqrt", "rsqrt", "prelu", "group_norm", "instance_norm"}
)
_BINARY = frozenset({"add", "sub", "mul", "div", "maximum", "minimum"})


class LinesAsImages(ProgramPass):
    """conv1d(x)  ⇒  squeeze(conv2d(unsqueeze(x, 2)), 2), and what stands between such in one piece.

    *Given* convolutions and pools of lines (N, C, L), with element by element work, norms, sums,
    concatenations of channels and the mean of a line between them. *Result* the same on images
    (N, C, 1, L), and a line where anything else reads it. For ExecuTorch, XNNPACK takes a
    convolution of lines only, each between two changes of rank, and no pool or mean of them.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Carry the network from its first such operator on as images."""
        names = {operator_name(node) for node in graph_module.graph.nodes}
        if names.isdisjoint(_STARTS):
            return PassResult(self.name)
        carried = _Carried(graph_module)
        for node in list(graph_module.graph.nodes):
            carried.take(node)
        return PassResult(self.name, carried.give_lines())


class _Carried:
    """The images that stand for lines of the graph."""

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._graph_module = graph_module
        self._images: dict[fx.Node, fx.Node] = {}
        self._entries: dict[fx.Node, fx.Node] = {}
        self._written = written_nodes(graph_module.graph)

    def take(self, node: fx.Node) -> None:
        """Insert the node's image, if it is one of those that have one."""
        name = operator_name(node)
        is_line = has_tensor(node) and value_of(node).ndim == _LINE_RANK
        if not is_line or not self._written.isdisjoint((node, *node.all_input_nodes)):
            return
        new = Respelling(self._graph_module, node)
        if name in _STARTS:
            self._images[node] = self._insert_start(new, name)
        elif name == "mean" and self._is_mean_of_line(node):
            image = self._images[arguments(node)["self"]]
            self._images[node] = new.call(_aten.mean.dim, image, [_ROW, _ROW + 1], True)
        elif name == "cat" and self._is_of_channels(node):
            images = [self._images[each] for each in arguments(node)["tensors"]]
            self._images[node] = new.call(_aten.cat.default, images, 1)
        elif name in _UNARY | _BINARY and self._is_between(node, name):
            self._images[node] = self._insert_copy(new, name)

    def give_lines(self) -> tuple[str, ...]:
        """Let everything else read lines made of the images; return what has become one."""
        for node, image in self._images.items():
            readers = [user for user in node.users if user not in self._images]
            if readers:
                line = Respelling(self._graph_module, node).insert_squeezed(image, _ROW)
                for reader in readers:
                    if reader is not line:
                        reader.replace_input_with(node, line)
        for node in reversed(self._images):
            node.graph.erase_node(node)
        return tuple(node.name for node in self._images)

    def _insert_image(self, line: fx.Node, new: Respelling) -> fx.Node:
        if line in self._images:
            return self._images[line]
        if line not in self._entries:
            self._entries[line] = new.insert_unsqueezed(line, _ROW)
        return self._entries[line]

    def _insert_start(self, new: Respelling, name: str) -> fx.Node:
        bound = arguments(new.node)
        image = self._insert_image(bound["input" if "conv" in name else "self"], new)
        if "conv" in name:
            return self._insert_convolution(new, image, bound)
        kernel, stride = bound["kernel_size"], bound["stride"] or bound["kernel_size"]
        sizes = [_row(kernel, 1), _row(stride, 1), _row(bound["padding"], 0)]
        if name == "max_pool1d":
            last = (_row(bound["dilation"], 1), bound["ceil_mode"])
            return new.call(_aten.max_pool2d.default, image, *sizes, *last)
        last = (bound["ceil_mode"], bound["count_include_pad"])
        return new.call(_aten.avg_pool2d.default, image, *sizes, *last)

    def _insert_convolution(
        self, new: Respelling, image: fx.Node, bound: dict[str, Any]
    ) -> fx.Node:
        weight = _with_row(new, bound["weight"])
        stride, padding, dilation = (
            _row(bound[each], rest)
            for each, rest in (("stride", 1), ("padding", 0), ("dilation", 1))
        )
        first = (image, weight, bound["bias"], stride, padding)
        if "output_padding" not in bound:
            return new.call(_aten.conv2d.default, *first, dilation, bound["groups"])
        last = (_row(bound["output_padding"], 0), bound["groups"], dilation)
        return new.call(_aten.conv_transpose2d.input, *first, *last)

    def _is_mean_of_line(self, node: fx.Node) -> bool:
        bound = arguments(node)
        dims = [each % _LINE_RANK for each in bound.get("dim") or ()]
        kept = bound["keepdim"] and bound["dtype"] is None
        return bound["self"] in self._images and dims == [_LINE_RANK - 1] and bool(kept)

    def _is_of_channels(self, node: fx.Node) -> bool:
        bound = arguments(node)
        channels = bound["dim"] % _LINE_RANK == 1
        return channels and all(each in self._images for each in bound["tensors"])

    def _is_between(self, node: fx.Node, name: str) -> bool:
        """Whether a node computes element by element on images and numbers alone."""
        sources = [each for each in node.all_input_nodes if not _is_per_channel(each, name)]
        return bool(sources) and all(each in self._images for each in sources)

    def _insert_copy(self, new: Respelling, name: str) -> fx.Node:
        def image(argument: fx.Node) -> fx.Node:
            if argument in self._images:
                return self._images[argument]
            return _with_row(new, argument) if name in _BINARY else argument

        return new.repeat(image)


def _is_per_channel(node: fx.Node, name: str) -> bool:
    """Whether a stored tensor means on images what it means on lines."""
    if node.op != "get_attr" or not has_tensor(node):
        return False
    return name not in _BINARY or value_of(node).ndim == _LINE_RANK


def _with_row(new: Respelling, stored: fx.Node) -> fx.Node:
    first, second, length = value_of(stored).shape
    return new.insert_reshaped(stored, [first, second, 1, length])


def _row(value: Any, rest: int) -> list[int]:
    return [rest, *expand_list(value, 1)]
