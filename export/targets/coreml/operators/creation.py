"""Ops that make tensors out of shapes and scalars."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Ints, UnsupportedArgument


def shape(x: Tensor) -> Tensor:
    """Return the shape of x as int32."""
    return torch.tensor(x.shape, dtype=torch.int32)


def fill(shape: Ints, value: Tensor | None = None) -> Tensor:
    """Return a tensor filled with the scalar ``value`` (0.0)."""
    scalar = torch.tensor(0.0) if value is None else value
    return torch.full(shape, scalar.item(), dtype=scalar.dtype)


def fill_like(ref_tensor: Tensor, value: Tensor | None = None) -> Tensor:
    """Return a tensor of the shape of ``ref_tensor`` filled with the scalar ``value`` (0.0)."""
    return fill(tuple(ref_tensor.shape), value)


def range_1d(start: Tensor, end: Tensor, step: Tensor) -> Tensor:
    """Return start, start + step, … below ``end``."""
    return torch.arange(start.item(), end.item(), step.item(), dtype=start.dtype)


def band_part(x: Tensor, lower: int = -1, upper: int = -1) -> Tensor:
    """Zero what lies more than ``lower`` below or ``upper`` above the diagonal (−1: keep all)."""
    rows, columns = (torch.arange(size) for size in x.shape[-2:])
    below = rows[:, None] - columns[None, :]
    kept = torch.ones_like(below, dtype=torch.bool)
    if lower >= 0:
        kept &= below <= lower
    if upper >= 0:
        kept &= -below <= upper
    return torch.where(kept, x, torch.zeros_like(x))


def one_hot(
    indices: Tensor,
    one_hot_vector_size: int,
    axis: int = -1,
    on_value: Tensor | None = None,
    off_value: Tensor | None = None,
) -> Tensor:
    """Return vectors that are ``on_value`` (1) at the index and ``off_value`` (0) elsewhere."""
    if axis not in (-1, indices.dim()):
        raise UnsupportedArgument(f"axis {axis}")
    hot = F.one_hot(indices.long(), one_hot_vector_size).bool()
    on = torch.tensor(1, dtype=torch.int32) if on_value is None else on_value
    off = torch.zeros_like(on) if off_value is None else off_value
    return torch.where(hot, on, off)


KERNELS = {
    "band_part": band_part,
    "fill": fill,
    "fill_like": fill_like,
    "one_hot": one_hot,
    "range_1d": range_1d,
    "shape": shape,
}
