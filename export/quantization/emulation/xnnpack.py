"""XNNPACK's arithmetic, which TFLite and ExecuTorch run; x86-64. Files are XNNPACK's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cnn_export.quantization.emulation.arithmetic import Arithmetic, Pair
from cnn_export.quantization.emulation.grid import Grid, float32
from cnn_export.quantization.emulation.kernels.fixed_point import fixed_point_sum
from cnn_export.quantization.emulation.kernels.float32_arithmetic import (
    SIXTH,
    fused_multiply_add,
    reduction,
    sequential_sum,
)
from cnn_export.quantization.emulation.kernels.requantization import requantized_layer

_MULTIPLIER_BITS = 21


def _quantize(real: torch.Tensor, grid: Grid) -> torch.Tensor:
    """``round(x · (1/s)) + z`` (``src/f32-qs8-vcvt``)."""
    steps = real.to(torch.float32) * (1 / float32(grid.scale))
    return grid.stored(steps.round() + grid.zero_point)


def _add(left: Pair, right: Pair, output: Grid) -> torch.Tensor:
    """Add in fixed point (``xnn_init_qs8_add_minmax_scalar_params``, ``src/qs8-vadd``).

    The larger multiplier has 21 bits; the shift rounds half up.
    """
    sums, shift = fixed_point_sum(left, right, output, bits=_MULTIPLIER_BITS)
    return output.stored((sums + (1 << (shift - 1)) >> shift) + output.zero_point)


def _multiply(left: Pair, right: Pair, output: Grid) -> torch.Tensor:
    """``round(q_a·q_b · (s_a·s_b/s_y)) + z_y`` (``src/qs8-vmul``, ``minmax-fp32``)."""
    (first, first_grid), (second, second_grid) = left, right
    ratio = float32(first_grid.scale) * float32(second_grid.scale) / float32(output.scale)
    product = first_grid.centred(first) * second_grid.centred(second)
    return output.stored((product * ratio).round() + output.zero_point)


def _hard_swish(x: torch.Tensor) -> torch.Tensor:
    """``x · clamp(fma(x, 1/6, 1/2), 0, 1)`` (``src/f32-vhswish``)."""
    return fused_multiply_add(x, SIXTH, 0.5).clamp(0, 1) * x


def _hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """``clamp(x + 3, 0, 6) · 1/6``: converters spell it, XNNPACK has no operator for it."""
    return (x + 3).clamp(0, 6) * SIXTH


def _mean(x: torch.Tensor, dim: Sequence[int] | None = None, keepdim: bool = False) -> torch.Tensor:
    """Add pixel after pixel, channels innermost, then times 1/n (``src/f32-rdsum``)."""
    reduced = reduction(x, dim, keepdim)
    inverse = 1 / float32(reduced.rows.shape[-1])
    return reduced.shaped(sequential_sum(reduced.rows) * inverse)


XNNPACK = Arithmetic(
    name="XNNPACK",
    quantize=_quantize,
    layer=requantized_layer,
    add=_add,
    multiply=_multiply,
    floats={"hardswish": _hard_swish, "hardsigmoid": _hard_sigmoid, "mean": _mean},
)
"""TFLite on x86-64 with fused multiply-add; ExecuTorch but for averages."""
