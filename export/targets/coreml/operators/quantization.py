"""Ops between real numbers and 8-bit integers, of iOS 17, and of stored weights, of iOS 16."""

from __future__ import annotations

import torch
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Kernel, UnsupportedArgument

_DTYPES = {"int8": torch.int8, "uint8": torch.uint8}


def quantize(
    input: Tensor,
    scale: Tensor,
    output_dtype: str,
    zero_point: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """Return clip(round(input / scale) + zero_point), halves rounded to even."""
    if output_dtype not in _DTYPES:
        raise UnsupportedArgument(f"output_dtype {output_dtype!r} is no 8-bit integer")
    dtype = _DTYPES[output_dtype]
    steps = (input / _along(scale, input, axis)).round()
    if zero_point is not None:
        steps = steps + _along(zero_point, input, axis)
    bounds = torch.iinfo(dtype)
    return steps.clamp(bounds.min, bounds.max).to(dtype)


def dequantize(
    input: Tensor, scale: Tensor, zero_point: Tensor | None = None, axis: int | None = None
) -> Tensor:
    """Return (input − zero_point) · scale in float32."""
    steps = input.float()
    if zero_point is not None:
        steps = steps - _along(zero_point, input, axis)
    return steps * _along(scale, input, axis)


def constexpr_affine_dequantize(
    quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: int
) -> Tensor:
    """Return (quantized_data − zero_point) · scale in float32, of stored weights."""
    return dequantize(quantized_data, scale, zero_point, axis)


def _along(values: Tensor, data: Tensor, axis: int | None) -> Tensor:
    """Return one value, or one for each index of ``axis``, broadcast over ``data``."""
    if values.ndim == 0:
        return values.float()
    if axis is None or values.shape != data.shape[axis : axis + 1 or None]:
        raise UnsupportedArgument(f"{values.numel()} scales or zero points along axis {axis}")
    return values.float().reshape([-1, *[1] * (data.ndim - 1 - axis % data.ndim)])


KERNELS: dict[str, Kernel] = {
    "constexpr_affine_dequantize": constexpr_affine_dequantize,
    "dequantize": dequantize,
    "quantize": quantize,
}
