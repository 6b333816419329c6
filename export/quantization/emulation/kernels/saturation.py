"""Sums of products on x86-64 without VNNI, where pairs of products saturate at 16 bits.

ONNX Runtime's kernels for unsigned activations and signed weights (``GemmU8S8Kernel`` with AVX2 or
AVX512, ``core/mlas/lib/x86_64/QgemmU8X8KernelAvx2.asm``) multiply with ``vpmaddubsw``: two products
next to each other in the sum are added and clipped to −32768 … 32767. VNNI's ``vpdpbusd`` does not
clip. Depthwise layers have kernels of their own, which are exact.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from cnn_export.quantization.emulation.grid import Grid
from cnn_export.quantization.emulation.kernels.requantization import requantized_sums
from cnn_export.quantization.emulation.layers import Layer, accumulate, spatial_options

_LOW, _HIGH = -(2**15), 2**15 - 1
_UNSIGNED_MAX = 255


def saturating_layer(integers: torch.Tensor, layer: Layer, output: Grid) -> torch.Tensor:
    """Return what :func:`~.requantization.requantized_layer` does, with pairs that saturate."""
    sums = accumulate(layer, integers)
    if layer.operator in ("linear", "conv2d") and not _is_depthwise(layer):
        sums = sums - _lost(layer, integers)
    return requantized_sums(sums, layer, output)


def _is_depthwise(layer: Layer) -> bool:
    return layer.options.get("groups", 1) == len(layer.weight) and layer.weight.shape[1] == 1


def _lost(layer: Layer, integers: torch.Tensor) -> torch.Tensor:
    """Return by how much clipping lessens each sum, float64 and of the output's shape."""
    unsigned = integers.float() if layer.source.dtype == torch.uint8 else integers.float() + 128
    if layer.operator == "linear":
        rows = unsigned.reshape(-1, 1, unsigned.shape[-1], 1)
        lost = _lost_in_groups(rows, layer.weight[None])
        return lost.reshape(*unsigned.shape[:-1], len(layer.weight))
    return _lost_in_convolution(layer, unsigned)


def _lost_in_convolution(layer: Layer, unsigned: torch.Tensor) -> torch.Tensor:
    """Sums run over the kernel's positions, and over a group's channels within each."""
    options = spatial_options(layer.options)
    groups, kernel = options["groups"], layer.weight.shape[2:]
    offset = 0 if layer.source.dtype == torch.uint8 else 128
    (top, left) = options["padding"]
    padded = F.pad(unsigned, (left, left, top, top), value=layer.source.zero_point + offset)
    patches = F.unfold(padded, kernel, options["dilation"], 0, options["stride"])
    taps = kernel[0] * kernel[1]
    patches = patches.reshape(len(unsigned), groups, -1, taps, patches.shape[-1])
    values = patches.transpose(2, 3).flatten(2, 3)
    weight = layer.weight.reshape(groups, -1, layer.weight.shape[1], taps)
    lost = _lost_in_groups(values, weight.transpose(2, 3).flatten(2))
    span = options["dilation"][0] * (kernel[0] - 1) + 1
    height = (padded.shape[2] - span) // options["stride"][0] + 1
    return lost.reshape(len(unsigned), len(layer.weight), height, -1)


def _lost_in_groups(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return (batch, groups, out, pixels) of (batch, groups, k, pixels) and (groups, out, k)."""
    odd = values.shape[2] % 2
    values, weight = F.pad(values, (0, 0, 0, odd)), F.pad(weight, (0, odd))
    lost = values.new_zeros(
        len(values), len(weight), weight.shape[1], values.shape[3], dtype=torch.float64
    )
    for pair in _pairs_at_risk(weight):
        first, second = 2 * pair, 2 * pair + 1
        products = (
            weight[:, :, first, None] * values[:, :, None, first]
            + weight[:, :, second, None] * values[:, :, None, second]
        )
        lost += products - products.clamp(_LOW, _HIGH)
    return lost


def _pairs_at_risk(weight: torch.Tensor) -> list[int]:
    """Return the pairs of neighbours whose products can leave 16 bits at all."""
    pairs = weight.unflatten(2, (-1, 2))
    highest = pairs.clamp(min=0).sum(3) * _UNSIGNED_MAX
    lowest = pairs.clamp(max=0).sum(3) * _UNSIGNED_MAX
    at_risk = ((highest > _HIGH) | (lowest < _LOW)).flatten(0, 1).any(0)
    return at_risk.nonzero().flatten().tolist()
