"""Core ML's arithmetic as MIL defines its operators: quantized values are read as real numbers.

Apple documents ``quantize`` and ``dequantize`` (coremltools, ``mil/ops/defs/iOS17``), and nothing
about the integer kernels that a device may fuse them into: no device was asked.
"""

from __future__ import annotations

import torch

from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.grid import Grid, float32


def _quantize(real: torch.Tensor, grid: Grid) -> torch.Tensor:
    """``clip(round(x / s) + z)``, as MIL's ``quantize`` says."""
    steps = real.to(torch.float32) / float32(grid.scale)
    return grid.stored(steps.round() + grid.zero_point)


CORE_ML = Arithmetic(
    name="Core ML", quantize=_quantize, layer=None, add=None, multiply=None, floats={}
)
"""All operators in float32 between dequantize and quantize."""
