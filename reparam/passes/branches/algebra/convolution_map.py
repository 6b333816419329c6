"""Arithmetic of linear convolution operators with weights, on plain float64 tensors.

The six transforms of "Diverse Branch Block" (Ding et al., arXiv 2103.13425, section 3.2) and the
merge of asymmetric kernels (ACNet, arXiv 1908.03930, section 3.2) are special cases of
:func:`compose` and :func:`add`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import torch

from cnn_export.reparam.passes.branches.algebra import footprint as footprints
from cnn_export.reparam.passes.branches.algebra.footprint import Axis, Footprint


@dataclasses.dataclass(frozen=True)
class ConvolutionMap:
    """``y = W * x̃ + b``.

    ``weight`` is (out, in/groups, *taps per axis), only the taps that exist; ``bias`` (out,);
    both float64.
    """

    footprint: Footprint
    weight: torch.Tensor
    bias: torch.Tensor


def identity(channels: int, sizes: tuple[int, ...]) -> ConvolutionMap:
    """Return ``y = x``."""
    weight = torch.ones(channels, 1, *[1] * len(sizes), dtype=torch.float64)
    bias = torch.zeros(channels, dtype=torch.float64)
    return ConvolutionMap(footprints.identity(channels, sizes), weight, bias)


def compose(outer: ConvolutionMap, inner: ConvolutionMap, result: Footprint) -> ConvolutionMap:
    """Return ``outer ∘ inner`` with the footprint already worked out.

    ``W[t₂·s₁ + t₁] += W₂[t₂] · W₁[t₁]    b = b₂ + Σ_t W₂[t] · b₁``
    """
    weight = inner.weight.new_zeros(_shape(result))
    for taps in itertools.product(*(range(len(axis.taps)) for axis in outer.footprint.axes)):
        places = [
            _places(result_axis, [outer_axis.taps[tap] * inner_axis.stride + t
                                  for t in inner_axis.taps])
            for result_axis, outer_axis, inner_axis, tap in zip(
                result.axes, outer.footprint.axes, inner.footprint.axes, taps, strict=True
            )
        ]  # fmt: skip
        product = _channel_product(outer, inner, result.groups, taps)
        weight[(..., *_grid(places))] += product
    return ConvolutionMap(result, weight, through_bias(outer, inner.bias))


def add(
    left: ConvolutionMap, right: ConvolutionMap, factor: float, result: Footprint
) -> ConvolutionMap:
    """Return ``left + factor · right`` with the footprint already worked out."""
    weight = left.weight.new_zeros(_shape(result))
    for each, scale in ((left, 1.0), (right, factor)):
        axes = zip(result.axes, each.footprint.axes, strict=True)
        places = [_places(axis, source.taps) for axis, source in axes]
        weight[(..., *_grid(places))] += scale * regroup(
            each.weight, each.footprint.groups, result.groups
        )
    return ConvolutionMap(result, weight, left.bias + factor * right.bias)


def through_bias(outer: ConvolutionMap, bias: torch.Tensor) -> torch.Tensor:
    """Return what a constant ``bias`` (in,) per channel becomes away from borders: (out,)."""
    shape = outer.footprint
    summed = outer.weight.flatten(2).sum(2) if outer.weight.ndim > 2 else outer.weight
    grouped = summed.reshape(shape.groups, shape.channels_out // shape.groups, -1)
    inputs = bias.reshape(shape.groups, -1, 1)
    return (grouped @ inputs).reshape(-1) + outer.bias


def regroup(weight: torch.Tensor, groups: int, wanted: int) -> torch.Tensor:
    """Spell a weight (out, in/groups, …) with fewer groups; what was apart is joined by zeros.

    ``wanted`` divides ``groups``; the result is (out, in/wanted, …).
    """
    if groups == wanted:
        return weight
    joined = groups // wanted
    out, inputs, *kernel = weight.shape
    blocks = weight.reshape(wanted, joined, out // groups, inputs, *kernel)
    wide = weight.new_zeros(wanted, joined, out // groups, joined, inputs, *kernel)
    for block in range(joined):
        wide[:, block, :, block] = blocks[:, block]
    return wide.reshape(out, joined * inputs, *kernel)


def dense_kernel(found: ConvolutionMap) -> torch.Tensor:
    """Return the weight as (out, in/groups, *kernel) with zeros at the taps that do not exist."""
    axes = found.footprint.axes
    shape = (*found.weight.shape[:2], *found.footprint.kernel)
    places = [
        torch.tensor([(tap - axis.taps[0]) // axis.dilation for tap in axis.taps]) for axis in axes
    ]
    kernel = found.weight.new_zeros(shape)
    kernel[(..., *_grid(places))] = found.weight
    return kernel


def _channel_product(
    outer: ConvolutionMap, inner: ConvolutionMap, groups: int, taps: tuple[int, ...]
) -> torch.Tensor:
    """Return ``W₂[taps] · W₁`` over the channels between, (out, in/groups, *inner taps)."""
    at_taps = outer.weight[(..., *taps)]
    spatial = (1,) * len(taps)
    if outer.footprint.is_depthwise:
        return at_taps.reshape(-1, 1, *spatial) * inner.weight
    if inner.footprint.is_depthwise:
        between = inner.weight.reshape(outer.footprint.groups, 1, -1, *inner.weight.shape[2:])
        product = at_taps.reshape(outer.footprint.groups, -1, at_taps.shape[1], *spatial) * between
        return product.reshape(*at_taps.shape, *inner.weight.shape[2:])
    left = regroup(at_taps, outer.footprint.groups, groups)
    right = regroup(inner.weight, inner.footprint.groups, groups)
    kernel = right.shape[2:]
    blocks = left.reshape(groups, -1, left.shape[1]) @ right.reshape(groups, left.shape[1], -1)
    return blocks.reshape(left.shape[0], right.shape[1], *kernel)


def _shape(footprint: Footprint) -> tuple[int, ...]:
    inputs = footprint.channels_in // footprint.groups
    return (footprint.channels_out, inputs, *(len(axis.taps) for axis in footprint.axes))


def _places(axis: Axis, taps: Sequence[int]) -> torch.Tensor:
    """Return the index of each tap among those of ``axis``."""
    index = {tap: place for place, tap in enumerate(axis.taps)}
    return torch.tensor([index[tap] for tap in taps])


def _grid(places: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return index tensors that broadcast to the product of the given positions."""
    rank = len(places)
    return [each.reshape(-1, *[1] * (rank - 1 - axis)) for axis, each in enumerate(places)]
