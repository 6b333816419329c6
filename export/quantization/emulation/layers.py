"""Layers whose weights are integers, and their exact sums of products."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import torch
from torch.nn import functional as F

from cnn_export.quantization.emulation.grid import Grid
from cnn_export.reparam.graph.operators import expand_list

_INPUT_SPAN = 255
"""Largest distance of an 8-bit integer from its zero point."""

_FLOAT32_WHOLE = 2**24
"""Sums of whole numbers below this are exact in float32, in whatever order they are added."""

_INT32 = 2**31


@dataclasses.dataclass(frozen=True)
class Layer:
    """One convolution or linear layer in integers.

    ``weight``: whole numbers in float32, laid out as the operator wants; ``scales``: float32, one
    per output channel; ``bias``: whole numbers in float64, (out,). ``options`` holds
    the operator's other arguments by their names. ``source`` is the input's grid.
    """

    operator: str
    weight: torch.Tensor
    scales: torch.Tensor
    bias: torch.Tensor
    options: dict[str, Any]
    channel_dim: int
    source: Grid

    def along_channels(self, values: torch.Tensor, rank: int) -> torch.Tensor:
        """Return values (out,) shaped to broadcast over an output of that rank."""
        return values.reshape([-1 if d == self.channel_dim else 1 for d in range(rank)])


def accumulate(layer: Layer, integers: torch.Tensor) -> torch.Tensor:
    """Return ``Σ (q_x − z_x)·q_w + q_b``: whole numbers, wrapped as int32 wraps.

    Padding is ``z_x``, so zero here. The sums are exact: in float32 where no order of adding can
    leave 2^24, in float64 elsewhere.
    """
    centred = layer.source.centred(integers)
    largest = _largest_sum(layer)
    dtype = torch.float32 if largest < _FLOAT32_WHOLE else torch.float64
    sums = _products(layer, centred.to(dtype), layer.weight.to(dtype))
    largest += float(layer.bias.abs().max())
    if largest >= _FLOAT32_WHOLE:
        sums = sums.double()
    sums += layer.along_channels(layer.bias.to(sums.dtype), sums.ndim)
    return sums if largest < _INT32 else (sums + _INT32).remainder(2 * _INT32) - _INT32


def _largest_sum(layer: Layer) -> float:
    """Return what no partial sum of products can exceed."""
    if layer.operator.startswith("conv_transpose"):
        return float(layer.weight.abs().sum(dtype=torch.float64)) * _INPUT_SPAN
    return float(layer.weight.abs().flatten(1).sum(1, dtype=torch.float64).max()) * _INPUT_SPAN


def _products(layer: Layer, values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    if layer.operator == "linear":
        return F.linear(values, weight)
    if layer.operator == "conv2d":
        return _convolution(values, weight, **spatial_options(layer.options))
    function: Any = getattr(torch.ops.aten, layer.operator)
    return function(values.double(), weight.double(), None, **layer.options)


def spatial_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``conv2d``'s stride, padding and dilation as pairs, and its groups."""
    pairs = {name: expand_list(options[name], 2) for name in ("stride", "padding", "dilation")}
    return {**pairs, "groups": options["groups"]}


def _convolution(
    values: torch.Tensor,
    weight: torch.Tensor,
    *,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> torch.Tensor:
    """Return a convolution as plain products and sums.

    torch's own may take a fast algorithm (Winograd), which is not exact on whole numbers.
    """
    batch, out, kernel = len(values), len(weight), weight.shape[2:]
    (top, left), (down, across), (gap_y, gap_x) = padding, stride, dilation
    values = F.pad(values, (left, left, top, top))
    height = (values.shape[2] - gap_y * (kernel[0] - 1) - 1) // down + 1
    width = (values.shape[3] - gap_x * (kernel[1] - 1) - 1) // across + 1
    window = _Window(gap_y, gap_x, down, across, height, width)
    if weight.shape[1] == 1:
        return _depthwise(values, weight, window, groups)
    grouped = weight.reshape(groups, out // groups, weight.shape[1], *kernel)
    products = (
        grouped[..., y, x] @ window.seen(values, y, x).reshape(batch, groups, -1, height * width)
        for y, x in itertools.product(*map(range, kernel))
    )
    total = next(products)
    for product in products:
        total += product
    return total.reshape(batch, out, height, width)


@dataclasses.dataclass(frozen=True)
class _Window:
    """Where a kernel's positions fall: their gaps, its steps, and how often it stands."""

    gap_y: int
    gap_x: int
    down: int
    across: int
    height: int
    width: int

    def seen(self, values: torch.Tensor, y: int, x: int) -> torch.Tensor:
        """Return what position (y, x) sees of padded maps, a view."""
        top, left = y * self.gap_y, x * self.gap_x
        rows = slice(top, top + self.down * (self.height - 1) + 1, self.down)
        columns = slice(left, left + self.across * (self.width - 1) + 1, self.across)
        return values[..., rows, columns]


def _depthwise(
    values: torch.Tensor, weight: torch.Tensor, window: _Window, groups: int
) -> torch.Tensor:
    """Add tap after tap: of one channel each, which a product of matrices is slow for."""
    batch, each = len(values), len(weight) // groups
    per_group = weight.reshape(groups, each, 1, 1, *weight.shape[2:])
    total = values.new_zeros(batch, groups, each, window.height, window.width)
    for y, x in itertools.product(*map(range, weight.shape[2:])):
        total.addcmul_(per_group[..., y, x], window.seen(values, y, x)[:, :, None])
    return total.reshape(batch, len(weight), window.height, window.width)
