"""ONNX Runtime's arithmetic on ARM64, where it is another than on x86-64."""

from __future__ import annotations

import dataclasses
import functools

import torch

from cnn_export.quantization.emulation.arithmetic import Pair
from cnn_export.quantization.emulation.grid import Grid
from cnn_export.quantization.emulation.kernels.eigen import neighbours_first
from cnn_export.quantization.emulation.kernels.fixed_point import fixed_point_sum
from cnn_export.quantization.emulation.kernels.float32_arithmetic import SIXTH, fused_multiply_add
from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME, mean

_MULTIPLIER_BITS = 22


def _add(left: Pair, right: Pair, output: Grid) -> torch.Tensor:
    """Add in fixed point (``MlasCalcQLinearAddParameters``, ``core/mlas/lib/qladd.cpp``, NEON).

    The larger multiplier has 22 bits; the shift rounds half away from zero.
    """
    sums, shift = fixed_point_sum(left, right, output, bits=_MULTIPLIER_BITS)
    rounded = sums - (sums < 0).long() + (1 << (shift - 1)) >> shift
    return output.stored(rounded + output.zero_point)


def _hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """``clamp(fma(x, 1/6, 1/2), 0, 1)``: the compiler fuses what it does not on x86-64."""
    return fused_multiply_add(x, SIXTH, 0.5).clamp(0, 1)


def _hard_swish(x: torch.Tensor) -> torch.Tensor:
    return x * _hard_sigmoid(x)


ONNX_RUNTIME_ARM = dataclasses.replace(
    ONNX_RUNTIME,
    name="ONNX Runtime on ARM64",
    add=_add,
    floats={
        "hardswish": _hard_swish,
        "hardsigmoid": _hard_sigmoid,
        "mean": functools.partial(mean, fold=neighbours_first),
    },
)
"""ONNX Runtime on ARM64; layers and products are those of x86-64 with VNNI."""
