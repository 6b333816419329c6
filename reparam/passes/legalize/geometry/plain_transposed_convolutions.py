"""Spell transposed convolutions as what TFLite has."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import (
    arguments,
    expand_list,
    operator_name,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.splice import insert_piece
from cnn_export.reparam.graph.surgery import insert_call, insert_constant, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_SPATIAL = 2
_IMAGE = 4


class PlainTransposedConvolutions(ProgramPass):
    """conv_transpose2d(x, W, p, q)  ⇒  conv_transpose2d(x, W, 0, 0)[p : p + size out].

    With a group per channel, or more than ``most_groups``, conv2d(x with s - 1 zeros behind each
    pixel, flipped W).

    *Given* a transposed convolution that TFLite's operator is not: that pads nothing, or both
    sides equally to an image of stride times the size. *Result* the same sums without padding, cut
    as torch cuts them; a dilated kernel gets its zeros, and an output padding beyond p as many
    zeros behind. litert-torch refuses most of these, and computes strides of two sizes wrongly.
    Groups it makes a layer each, and joins them by a concatenation that XNNPACK may not take;
    ExecuTorch (``takes_padding``) has them in XNNPACK, which computes channel by channel.
    """

    def __init__(self, most_groups: int | None, *, takes_padding: bool = False) -> None:
        self._most_groups = most_groups
        self._takes_padding = takes_padding

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such layer."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "conv_transpose2d":
                continue
            layer = _read(graph_module, node)
            if isinstance(layer, str):
                refusals.append(Refusal(node.name, layer))
                continue
            if layer.is_depthwise or self._is_more(layer.groups):
                plain = _insert_convolution(graph_module, layer)
            elif self._takes_padding or layer.is_taken:
                continue
            else:
                plain = _insert_unpadded(graph_module, layer)
            replace(node, plain)
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))

    def _is_more(self, groups: int) -> bool:
        return self._most_groups is not None and groups > self._most_groups


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A layer with its stored weights (in, out/groups, *kernel); the rest per axis.

    ``kernel`` is the size of the weights with the zeros that a dilation means.
    """

    node: fx.Node
    input: fx.Node
    weight: torch.Tensor
    bias: fx.Node | None
    groups: int
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def kernel(self) -> tuple[int, ...]:
        sizes = zip(self.weight.shape[2:], self.dilation, strict=True)
        return tuple(step * (size - 1) + 1 for size, step in sizes)

    @property
    def is_depthwise(self) -> bool:
        """Whether every group reads one channel."""
        return self.groups == self.weight.shape[0] > 1

    @property
    def is_taken(self) -> bool:
        """Whether the converter makes the operator, or a plain convolution, of it."""
        if any(self.output_padding):
            return False
        axes = list(zip(self.kernel, self.stride, self.padding, strict=True))
        if all(stride == 1 for stride in self.stride):
            return all(pad < size for size, _, pad in axes)
        is_same = all(size - stride == 2 * pad for size, stride, pad in axes)
        return (not any(self.padding) or is_same) and set(self.dilation) == {1}


def _read(graph_module: fx.GraphModule, node: fx.Node) -> _Layer | str:
    bound = arguments(node)
    weight = constant(graph_module, bound["weight"])
    if weight is None:
        return "its weights are computed in the graph"
    if value_of(bound["input"]).ndim != _IMAGE:
        return f"its input has {value_of(bound['input']).ndim} dimensions"
    if static_sizes(value_of(node).shape) is None:
        return "the sizes of its input are not known"
    names = ("stride", "padding", "output_padding", "dilation")
    axes = [expand_list(bound[name], _SPATIAL) for name in names]
    return _Layer(node, bound["input"], weight, bound["bias"], bound["groups"], *axes)


def _insert_unpadded(graph_module: fx.GraphModule, layer: _Layer) -> fx.Node:
    """Add the layer without padding, and the slices that cut it."""
    stored = _insert_weight(graph_module, layer.node, _unpadded(layer).weight)
    args = (layer.input, stored, layer.bias, list(layer.stride), [0, 0], [0, 0], layer.groups)
    return _insert_cut(layer, _call(layer.node, _aten.conv_transpose2d.input, *args), layer.padding)


def _insert_convolution(graph_module: fx.GraphModule, layer: _Layer) -> fx.Node:
    """Add a convolution of the map with zeros between its pixels, and the slices that cut it."""
    starts = (0, 0)
    if _reaches_further(layer):
        starts, layer = layer.padding, _unpadded(layer)
    before = [size - 1 - pad for size, pad in zip(layer.kernel, layer.padding, strict=True)]
    weight = layer.weight.unflatten(0, (layer.groups, -1)).transpose(1, 2).flatten(0, 1)
    stored = _insert_weight(graph_module, layer.node, weight.flip(2, 3))
    dilation, groups = list(layer.dilation), layer.groups
    args = (_insert_zeros(layer), stored, layer.bias, [1, 1], before, dilation, groups)
    return _insert_cut(layer, _call(layer.node, _aten.conv2d.default, *args), starts)


def _reaches_further(layer: _Layer) -> bool:
    """Whether it cuts more than its kernel adds, or has more behind than a stride's zeros."""
    sizes = zip(layer.kernel, layer.padding, layer.output_padding, layer.stride, strict=True)
    return any(pad >= size or more >= stride for size, pad, more, stride in sizes)


def _unpadded(layer: _Layer) -> _Layer:
    """Return the layer without padding; its weights have the zeros that it lacks behind."""
    pairs = zip(layer.output_padding, layer.padding, strict=True)
    weight = _widened(layer, *(max(more - pad, 0) for more, pad in pairs))
    return dataclasses.replace(
        layer, weight=weight, padding=(0, 0), output_padding=(0, 0), dilation=(1, 1)
    )


def _insert_zeros(layer: _Layer) -> fx.Node:
    """Add s - 1 zeros behind every column and row, as a pad of the channels and of whole rows."""
    node, (rows, columns) = layer.node, layer.stride
    batch, channels, height, width = (int(size) for size in value_of(layer.input).shape)
    value = _call(node, _aten.permute.default, layer.input, [0, 2, 3, 1])
    if columns > 1:
        value = _call(node, _aten.pad.default, value, [0, (columns - 1) * channels])
    if rows > 1:
        length = width * columns * channels
        value = _call(node, _aten.reshape.default, value, [batch * height, length])
        value = _call(node, _aten.pad.default, value, [0, (rows - 1) * length])
    shape = [batch, height * rows, width * columns, channels]
    value = _call(node, _aten.reshape.default, value, shape)
    return _call(node, _aten.permute.default, value, [0, 3, 1, 2])


def _widened(layer: _Layer, rows: int, columns: int) -> torch.Tensor:
    """Return the weights with the zeros that their dilation means, and some behind."""
    sparse = layer.weight.new_zeros(*layer.weight.shape[:2], *layer.kernel)
    sparse[:, :, :: layer.dilation[0], :: layer.dilation[1]] = layer.weight
    return F.pad(sparse, (0, columns, 0, rows))


def _insert_cut(layer: _Layer, value: fx.Node, starts: tuple[int, ...]) -> fx.Node:
    for dim, start in enumerate(starts, start=2):
        end = start + int(value_of(layer.node).shape[dim])
        value = insert_piece(value, dim, start, end, before=layer.node, like=layer.node)
    return value


def _insert_weight(graph_module: fx.GraphModule, node: fx.Node, tensor: torch.Tensor) -> fx.Node:
    hint = f"{node.name}_plain_weight"
    return insert_constant(graph_module, hint, tensor.contiguous(), before=node, like=node)


def _call(node: fx.Node, target: Any, *args: Any) -> fx.Node:
    return insert_call(node.graph, target, args, before=node, like=node)
