"""The quantize and dequantize operators that converters read, and one call of each."""

from __future__ import annotations

from typing import Any

import torch
import torch.ao.quantization.fx._decomposed  # pyright: ignore[reportUnusedImport]  # registers them
from torch import fx
from torch._ops import OpOverload

from cnn_export.quantization.decision import INT8_MAX, INT8_MIN, TensorScale
from cnn_export.reparam.graph.surgery import insert_call

_library: Any = torch.ops.quantized_decomposed

QUANTIZE: OpOverload = _library.quantize_per_tensor.default
DEQUANTIZE: OpOverload = _library.dequantize_per_tensor.default
QUANTIZE_PER_CHANNEL: OpOverload = _library.quantize_per_channel.default
DEQUANTIZE_PER_CHANNEL: OpOverload = _library.dequantize_per_channel.default

_UINT8_OFFSET = 128
_DTYPES = {"int8": (torch.int8, 0), "uint8": (torch.uint8, _UINT8_OFFSET)}


def integer_dtype(kind: str) -> torch.dtype:
    """Return torch's dtype of ``int8`` or ``uint8``."""
    return _DTYPES[kind][0]


def insert_quantize(
    value: fx.Node, scale: TensorScale, kind: str, *, before: fx.Node, like: fx.Node
) -> fx.Node:
    """Add ``round(value / scale) + zero point``, clipped to all of ``kind``."""
    args = (value, *_parameters(scale, kind))
    return insert_call(value.graph, QUANTIZE, args, before=before, like=like)


def insert_dequantize(
    value: fx.Node, scale: TensorScale, kind: str, *, before: fx.Node, like: fx.Node
) -> fx.Node:
    """Add ``(value − zero point) · scale`` in float32."""
    args = (value, *_parameters(scale, kind))
    return insert_call(value.graph, DEQUANTIZE, args, before=before, like=like)


def _parameters(scale: TensorScale, kind: str) -> tuple[float, int, int, int, torch.dtype]:
    dtype, offset = _DTYPES[kind]
    return scale.scale, scale.zero_point + offset, INT8_MIN + offset, INT8_MAX + offset, dtype
