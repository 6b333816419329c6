"""Cropping and resizing of the last two dimensions, by the grid points that MIL's definition gives.

Output element i of a dimension of ``n`` inputs and ``m`` outputs is read at a fractional position
between 0 and n − 1; bilinear resizing interpolates there, first rows, then columns.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Ints, UnsupportedArgument


def upsample_nearest_neighbor(
    x: Tensor, scale_factor_height: float = 1.0, scale_factor_width: float = 1.0
) -> Tensor:
    """Repeat elements; a scale that does not give a whole size is refused (undocumented)."""
    height = _exact_size(x.shape[-2], scale_factor_height)
    width = _exact_size(x.shape[-1], scale_factor_width)
    return resize_nearest_neighbor(x, height, width)


def resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    """Read output element i at input element ⌊i·n/m⌋."""
    for dimension, size in ((-2, target_size_height), (-1, target_size_width)):
        x = x.index_select(dimension, torch.arange(size) * x.shape[dimension] // size)
    return x


def crop(x: Tensor, crop_height: Ints, crop_width: Ints) -> Tensor:
    """Drop (before, after) rows and columns."""
    (top, bottom), (left, right) = crop_height, crop_width
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def upsample_bilinear(
    x: Tensor,
    scale_factor_height: float = 1.0,
    scale_factor_width: float = 1.0,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """Interpolate to ⌊n·scale⌋; half-pixel centres unless corners are aligned."""
    centred = not align_corners if half_pixel_centers is None else half_pixel_centers
    if align_corners and centred:
        raise UnsupportedArgument("align_corners together with half_pixel_centers")
    unaligned = "UNALIGN_CORNERS" if centred else "DEFAULT"
    return resize_bilinear(
        x,
        math.floor(x.shape[-2] * scale_factor_height),
        math.floor(x.shape[-1] * scale_factor_width),
        "STRICT_ALIGN_CORNERS" if align_corners else unaligned,
    )


def resize_bilinear(
    x: Tensor,
    target_size_height: int = 1,
    target_size_width: int = 1,
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """Interpolate to the target size at the grid points of ``sampling_mode``."""
    for dimension, size in ((-2, target_size_height), (-1, target_size_width)):
        x = _interpolate(x, dimension, grid_points(x.shape[dimension], size, sampling_mode))
    return x


def grid_points(n: int, m: int, sampling_mode: str) -> Tensor:
    """Return the float64 positions (m,) in [0, n − 1] at which ``m`` outputs are read."""
    i = torch.arange(m, dtype=torch.float64)
    if sampling_mode == "ALIGN_CORNERS" and m == 1:
        positions = torch.full((1,), (n - 1) / 2, dtype=torch.float64)
    elif sampling_mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        positions = i * (n - 1) / max(m - 1, 1)
    elif sampling_mode == "DEFAULT":
        positions = i * n / m
    elif sampling_mode == "OFFSET_CORNERS":
        positions = (i + 0.5) * max(1, n - 1) / m
    elif sampling_mode == "UNALIGN_CORNERS":
        positions = (i + 0.5) * n / m - 0.5
    else:
        raise UnsupportedArgument(f"sampling_mode {sampling_mode!r} is unknown")
    return positions.clamp(0, n - 1)


def _interpolate(x: Tensor, dimension: int, positions: Tensor) -> Tensor:
    before = positions.floor().long()
    after = (before + 1).clamp(max=x.shape[dimension] - 1)
    shape = (-1, 1) if dimension == -2 else (-1,)
    weight = (positions - before).to(x.dtype).reshape(shape)
    low, high = x.index_select(dimension, before), x.index_select(dimension, after)
    return low * (1 - weight) + high * weight


def _exact_size(size: int, scale: float) -> int:
    target = round(size * scale)
    if abs(target - size * scale) > 1e-3:
        raise UnsupportedArgument(f"scale {scale} of size {size} gives no whole size")
    return target


KERNELS = {
    "crop": crop,
    "resize_bilinear": resize_bilinear,
    "resize_nearest_neighbor": resize_nearest_neighbor,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
}
