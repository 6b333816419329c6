"""ONNX Runtime's arithmetic in its CPU provider; x86-64 with AVX2. Files are onnxruntime's own."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import torch

from cnn_export.quantization.emulation.arithmetic import Arithmetic, Pair
from cnn_export.quantization.emulation.grid import Grid, float32
from cnn_export.quantization.emulation.kernels.eigen import Fold, column_means, halves_first
from cnn_export.quantization.emulation.kernels.float32_arithmetic import (
    SIXTH,
    fused_multiply_add,
    reduction,
)
from cnn_export.quantization.emulation.kernels.requantization import requantized_layer
from cnn_export.quantization.emulation.kernels.saturation import saturating_layer


def _quantize(real: torch.Tensor, grid: Grid) -> torch.Tensor:
    """``round(x / s) + z`` (``MlasQuantizeLinear``, ``core/mlas/lib/quantize.cpp``)."""
    steps = real.to(torch.float32) / float32(grid.scale)
    return grid.stored(steps.round() + grid.zero_point)


def _add(left: Pair, right: Pair, output: Grid) -> torch.Tensor:
    """Add in float32 with fused steps (``core/mlas/lib/intrinsics/avx2/qladd_avx2.cpp``).

    With r = s / s_y: ``fixed = z_y − fma(r_a, z_a, r_b·z_b)`` once, then
    ``round(fma(q_a, r_a, fma(q_b, r_b, fixed)))`` over the stored integers, zero points in them.
    (The compiler fuses ``fixed`` itself: the source says ``r_a·z_a + r_b·z_b``.)
    """
    (first, first_grid), (second, second_grid) = left, right
    a = float32(first_grid.scale) / float32(output.scale)
    b = float32(second_grid.scale) / float32(output.scale)
    moved = fused_multiply_add(a, float32(first_grid.zero_point), b * second_grid.zero_point)
    fixed = float32(output.zero_point) - moved
    inner = fused_multiply_add(second.float(), b, fixed)
    return output.stored(fused_multiply_add(first.float(), a, inner).round())


def _multiply(left: Pair, right: Pair, output: Grid) -> torch.Tensor:
    """``round(q_a·q_b · (s_a·s_b/s_y) + z_y)``, not fused (``core/mlas/lib/qlmul.cpp``)."""
    (first, first_grid), (second, second_grid) = left, right
    ratio = float32(first_grid.scale) * float32(second_grid.scale) / float32(output.scale)
    product = first_grid.centred(first) * second_grid.centred(second)
    return output.stored((product * ratio + output.zero_point).round())


def _average(pixels: Pair, output: Grid) -> torch.Tensor:
    """``round(Σ(q − z) · r) + z_y``, ``r = s / (s_y·n)`` (``core/mlas/lib/qlgavgpool.cpp``)."""
    integers, grid = pixels
    count = integers.shape[-1] * integers.shape[-2]
    ratio = float32(grid.scale) / (float32(output.scale) * float32(count))
    sums = (integers.long() - grid.zero_point).sum((-2, -1), keepdim=True).float()
    return output.stored((sums * ratio).round() + output.zero_point)


def _hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """``clamp(x·1/6 + 1/2, 0, 1)``, not fused (``core/providers/cpu/activation/activations.h``)."""
    return (x * SIXTH + 0.5).clamp(0, 1)


def _hard_swish(x: torch.Tensor) -> torch.Tensor:
    """``x · hard_sigmoid(x)``: the function that ONNX defines it by."""
    return x * _hard_sigmoid(x)


def mean(
    x: torch.Tensor, dim: Sequence[int] | None = None, keepdim: bool = False, *, fold: Fold
) -> torch.Tensor:
    """Eigen's order, over last dimensions (``core/providers/cpu/reduction/reduction_ops.cc``)."""
    reduced = reduction(x, dim, keepdim)
    if not reduced.trailing:
        return reduced.shaped(reduced.rows.mean(-1))
    return reduced.shaped(column_means(reduced.rows.flatten(0, -2), fold))


ONNX_RUNTIME = Arithmetic(
    name="ONNX Runtime",
    quantize=_quantize,
    layer=requantized_layer,
    add=_add,
    multiply=_multiply,
    floats={
        "hardswish": _hard_swish,
        "hardsigmoid": _hard_sigmoid,
        "mean": functools.partial(mean, fold=halves_first),
    },
    average=_average,
    flat_averages=True,
)
"""ONNX Runtime on x86-64 with AVX2 and VNNI: sums of products are exact."""

ONNX_RUNTIME_WITHOUT_VNNI = dataclasses.replace(
    ONNX_RUNTIME, name="ONNX Runtime without VNNI", layer=saturating_layer
)
"""ONNX Runtime on x86-64 with AVX2 but no VNNI: two neighbouring products saturate at 16 bits."""
