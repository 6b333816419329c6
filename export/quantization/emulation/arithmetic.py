"""What an arithmetic has to say, whatever the runtime: one function for each kind of operator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch

from cnn_export.quantization.emulation.grid import Grid
from cnn_export.quantization.emulation.layers import Layer

Pair = tuple[torch.Tensor, Grid]
"""Stored integers and their grid."""


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """How one runtime computes. All functions take and return CPU tensors of equal batch.

    ``quantize(real, grid)``: float32 to stored integers. ``layer(integers, layer, output)``:
    convolution or linear. ``add(left, right, output)`` and ``multiply``: elementwise, broadcasting;
    ``output`` is narrowed by a fused activation. ``average``: over height and width of four
    dimensions, which stay. Any may be ``None``: the runtime computes it in float between
    dequantize and quantize. ``floats``: ATen operator name → the runtime's own
    formula in float32; all other operators are torch's.
    """

    name: str
    quantize: Callable[[torch.Tensor, Grid], torch.Tensor]
    layer: Callable[[torch.Tensor, Layer, Grid], torch.Tensor] | None
    add: Callable[[Pair, Pair, Grid], torch.Tensor] | None
    multiply: Callable[[Pair, Pair, Grid], torch.Tensor] | None
    floats: Mapping[str, Callable[..., Any]]
    average: Callable[[Pair, Grid], torch.Tensor] | None = None
    flat_averages: bool = False
    """Whether ``average`` also computes those that drop their two dimensions."""
