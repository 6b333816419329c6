"""Arithmetic of cross-layer equalization, on plain tensors.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV 2019,
arXiv 1906.04721), section 4.1: where ``f(s·x) = s·f(x)`` for ``s > 0``, a channel between two
layers may be divided by ``s`` in the first and multiplied by it in the second.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from cnn_export.reparam.passes.affine.batch_norm import scale_input_channels, scale_output_channels

SCALE_TOLERANCE = 1e-3
"""Ranges that differ by less than this fraction count as equal: a bit of int8 is 4e-3 of it."""

_CONSTANT_CHANNEL = 2.0**-10
"""A channel whose weights stay below this fraction of its bias is a constant in all but name.

Its scale would be tiny, its bias huge, and it would take all of the activation's range. The
fraction does not change when the channel is scaled, so a second run decides alike.
"""


@dataclasses.dataclass(frozen=True)
class LayerWeights:
    """Weights of one layer in float64, stored as its operator reads them; ``bias`` (out,)."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    groups: int = 1
    transposed: bool = False

    @property
    def output_ranges(self) -> torch.Tensor:
        """Return ``max |W|`` of every output channel; (out,)."""
        return self._ranges(of_rows=not self.transposed)

    @property
    def input_ranges(self) -> torch.Tensor:
        """Return ``max |W|`` of every input channel; (in,)."""
        return self._ranges(of_rows=self.transposed)

    def upper_bounds(self, high: float) -> torch.Tensor:
        """Return what each output channel cannot exceed for inputs in [0, high]; (out,).

        Padding by zeros lies in that interval. Not for transposed layers.
        """
        reach = self.weight.clamp(min=0).flatten(1).sum(1) * high
        return reach if self.bias is None else reach + self.bias

    def divide_outputs(self, scale: torch.Tensor) -> LayerWeights:
        """Return the layer whose output channel ``i`` is divided by ``scale[i]``; (out,)."""
        weight = scale_output_channels(
            self.weight, 1 / scale, groups=self.groups, transposed=self.transposed
        )
        bias = None if self.bias is None else self.bias / scale
        return dataclasses.replace(self, weight=weight, bias=bias)

    def multiply_inputs(self, scale: torch.Tensor) -> LayerWeights:
        """Return the layer that multiplies input channel ``i`` by ``scale[i]`` first; (in,)."""
        weight = scale_input_channels(
            self.weight, scale, groups=self.groups, transposed=self.transposed
        )
        return dataclasses.replace(self, weight=weight)

    def _ranges(self, *, of_rows: bool) -> torch.Tensor:
        """Return the range of each row, or of each column of each group."""
        grouped = self.weight.abs().unflatten(0, (self.groups, -1))[..., None].flatten(3)
        values = grouped.amax(tuple(range(2 if of_rows else 3, grouped.ndim)))
        return values.flatten() if of_rows else values.amax(1).flatten()


@dataclasses.dataclass(frozen=True)
class Clip:
    """``min(max(x, 0), high)`` after a layer whose inputs lie in [0, ``input_high``].

    Clipping is not homogeneous. It may be crossed in those channels only that stay below ``high``
    for every input, before and after.
    """

    high: float
    input_high: float

    def blocked(self, first: LayerWeights) -> int:
        """Return how many channels may reach the clip."""
        return int((first.upper_bounds(self.input_high) > self.high).sum())


def equalizing_scales(
    first: LayerWeights, second: LayerWeights, clip: Clip | None = None
) -> torch.Tensor:
    """Return ``s = r1 / (t·m)`` with ``m = √(r1·r2)`` per channel, 1 where nothing may change.

    ``r1`` and ``r2`` are the ranges of the first layer's output and the second's input channels;
    they become ``t·m`` and ``m/t``. Nothing changes where a range is zero, where the channel is a
    constant in all but name, and where it might reach ``clip``. ``t`` is 1, as in the paper, unless
    such fixed channels call for another (:func:`_balance`).
    """
    r1, r2 = first.output_ranges, second.input_ranges
    free = (r1 > 0) & (r2 > 0)
    if first.bias is not None:
        free &= r1 >= first.bias.abs() * _CONSTANT_CHANNEL
    limits = torch.zeros_like(r1)
    if clip is not None:
        bounds = first.upper_bounds(clip.input_high)
        free &= bounds <= clip.high
        limits = bounds / clip.high
    means = (r1 * r2).sqrt()
    scales = (r1 / (_balance(r1, r2, free) * means)).maximum(limits)
    return torch.where(free & scales.isfinite(), scales, torch.ones_like(scales))


def _balance(r1: torch.Tensor, r2: torch.Tensor, free: torch.Tensor) -> float:
    """Return the ``t`` nearest to 1 that keeps the product of both layers' ranges smallest.

    With ``M`` the largest mean of a free channel and ``B1``, ``B2`` the largest ranges of fixed
    ones, that product is ``max(B1, t·M) · max(B2, M/t)``: smallest for every ``t`` between
    ``M/B2`` and ``B1/M``, where it is not above what it was.
    """
    if not bool(free.any()):
        return 1.0
    largest = float((r1 * r2)[free].max().sqrt())
    fixed1, fixed2 = (float((each * ~free).max()) for each in (r1, r2))
    ends = (largest / fixed2 if fixed2 else math.inf, fixed1 / largest)
    return min(max(1.0, min(ends)), max(ends))


def is_equalized(scales: torch.Tensor) -> bool:
    """Whether scales so near to 1 are not worth applying."""
    return bool(scales.log().abs().max() < SCALE_TOLERANCE) if scales.numel() else True
