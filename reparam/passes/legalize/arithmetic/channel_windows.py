"""Spell windows along channels, as in local response normalization, as a 1x1 convolution."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import arguments, expand_list, operator_name, value_of
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_VOLUME_RANK = 5


class ChannelWindows(ProgramPass):
    """squeeze(conv3d(reshape(x), k))  ⇒  conv2d(x, T)    T[i, j] = k[j - i + p].

    *Given* a convolution of a map's channels as the depth of a volume of one channel. *Result* a
    1x1 convolution with a band of weights: XNNPACK has no convolution of volumes.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such convolution."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "squeeze":
                continue
            volume = arguments(node)["self"]
            if operator_name(volume) != "conv3d":
                continue
            band = _band(graph_module, node, volume)
            if isinstance(band, str):
                refusals.append(Refusal(volume.name, band))
                continue
            new = Respelling(graph_module, node)
            source = arguments(arguments(volume)["input"])["self"]
            kernel = new.insert_number("channel_window", band)
            new.give(new.call(_aten.conv2d.default, source, kernel, arguments(volume)["bias"]))
            rewrites.append(volume.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _band(graph_module: fx.GraphModule, node: fx.Node, volume: fx.Node) -> torch.Tensor | str:
    """Return the weights (C, C, 1, 1), or why there are none."""
    bound = arguments(volume)
    weight = constant(graph_module, bound["weight"])
    if weight is None or tuple(weight.shape[:2]) != (1, 1) or tuple(weight.shape[3:]) != (1, 1):
        return "its kernel is not one window along channels"
    strides, dilations = (expand_list(bound[each], 3) for each in ("stride", "dilation"))
    first, *others = expand_list(bound["padding"], 3)
    if any(each != 1 for each in (*strides, *dilations)) or any(others):
        return "its windows have gaps, or padding beside the channels"
    reshaped = bound["input"]
    source = arguments(reshaped)["self"] if operator_name(reshaped) == "reshape" else None
    if source is None or len(volume.users) > 1:
        return "its volume is no reshaped map, or read elsewhere"
    given, read = value_of(source).shape, value_of(reshaped).shape
    if len(read) != _VOLUME_RANK or tuple(read[1:]) != (1, *given[1:]):
        return f"its volume {list(read)} is another than its map {list(given)}"
    if tuple(value_of(node).shape[1:]) != tuple(given[1:]):
        return "its result is no map of the same size"
    return _banded(weight.reshape(-1), int(given[1]), first)


def _banded(window: torch.Tensor, channels: int, padding: int) -> torch.Tensor:
    """Return T[i, j] = window[j − i + padding], zero outside of the window."""
    band = window.new_zeros(channels, channels)
    for tap, value in enumerate(window.tolist()):
        offset = tap - padding
        if abs(offset) < channels:
            band.diagonal(offset).fill_(value)
    return band.reshape(channels, channels, 1, 1)
