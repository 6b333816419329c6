"""What a reader returns: one operator of the graph as a linear map of one input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import fx

from cnn_export.reparam.graph.operators import static_sizes, value_of
from cnn_export.reparam.passes.branches.algebra.convolution_map import ConvolutionMap
from cnn_export.reparam.passes.branches.algebra.footprint import Axis, Footprint

LEADING_DIMS = 2
"""Batch and channels stand before the spatial dimensions."""


@dataclasses.dataclass(frozen=True)
class Leaf:
    """``node = map(input)``; ``multiplies`` is false where the operator only moves values."""

    node: fx.Node
    input: fx.Node
    map: ConvolutionMap
    multiplies: bool = True


@dataclasses.dataclass(frozen=True)
class NotLinear:
    """An operator of a linear kind whose arguments make it something else."""

    reason: str


Reader = Callable[[fx.GraphModule, fx.Node], Leaf | NotLinear | None]
"""Returns ``None`` for nodes that are no business of the reader."""


def image_size(node: fx.Node) -> tuple[int, tuple[int, ...]] | None:
    """Return channels and spatial sizes of a (batch, channels, …) value where they are known."""
    shape = value_of(node).shape
    sizes = static_sizes(shape[1:])
    return (sizes[0], sizes[1:]) if sizes else None


def depthwise(channels: int, axes: tuple[Axis, ...], weight: torch.Tensor) -> ConvolutionMap:
    """Return the map that applies one kernel, given at its taps, to every channel by itself."""
    weights = weight.double().expand(channels, 1, *weight.shape)
    bias = torch.zeros(channels, dtype=torch.float64)
    return ConvolutionMap(Footprint(channels, channels, channels, axes), weights, bias)
