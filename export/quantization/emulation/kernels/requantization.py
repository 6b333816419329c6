"""What the runtimes share: an exact sum, times a float32 ratio, rounded half to even."""

from __future__ import annotations

import torch

from cnn_export.quantization.emulation.grid import Grid, float32
from cnn_export.quantization.emulation.layers import Layer, accumulate


def ratios(layer: Layer, output: Grid) -> torch.Tensor:
    """Return ``(s_x·s_w) / s_y`` for each output channel, rounded to float32 after each step."""
    return float32(layer.source.scale) * layer.scales / float32(output.scale)


def requantized_layer(integers: torch.Tensor, layer: Layer, output: Grid) -> torch.Tensor:
    """Return ``round(float32(Σ) · ratio) + z_y``, clipped.

    XNNPACK: ``src/qs8-qc8w-gemm`` and ``src/qs8-qc8w-dwconv``, ``minmax-fp32``. ONNX Runtime:
    ``MlasRequantizeOutput`` (``core/mlas/lib/quantize.cpp``), ``QLinearConv``, ``QGemm``.
    """
    return requantized_sums(accumulate(layer, integers), layer, output)


def requantized_sums(sums: torch.Tensor, layer: Layer, output: Grid) -> torch.Tensor:
    """Return sums (whole numbers, bias included) on the output's grid."""
    scaled = sums.to(torch.float32) * layer.along_channels(ratios(layer, output), sums.ndim)
    return output.stored(scaled.round() + output.zero_point)
