"""Gather and scatter. ``validate_indices`` only asks the runtime to check; torch always does."""

from __future__ import annotations

import torch
from torch import Tensor

from cnn_export.targets.mil.signature import UnsupportedArgument


def gather(
    x: Tensor,
    indices: Tensor,
    axis: int = 0,
    batch_dims: int = 0,
    validate_indices: bool = False,
) -> Tensor:
    """Return the slices of x at ``indices`` along ``axis``; negative indices count from the end."""
    if batch_dims:
        raise UnsupportedArgument(f"batch_dims {batch_dims}")
    axis %= x.dim()
    picked = x.index_select(axis, _positive(indices.flatten(), x.shape[axis]))
    return picked.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def gather_along_axis(
    x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool = False
) -> Tensor:
    """Return x at ``indices`` along ``axis``, position by position."""
    return torch.gather(x, axis, _positive(indices, x.shape[axis]))


def gather_nd(
    x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool = False
) -> Tensor:
    """Return the slices of x at the index tuples in the last dimension of ``indices``."""
    if batch_dims:
        raise UnsupportedArgument(f"batch_dims {batch_dims}")
    return x[tuple(indices.long().unbind(-1))]


def scatter(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    """Write ``updates`` into the slices of data at ``indices`` (rank 1) along ``axis``."""
    axis %= data.dim()
    places = (slice(None),) * axis + (_positive(indices, data.shape[axis]),)
    return _write(data, places, updates, mode)


def scatter_along_axis(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    """Write ``updates`` to ``indices`` along ``axis``, position by position."""
    places = _positive(indices, data.shape[axis])
    if mode == "update":
        return data.scatter(axis, places, updates)
    if mode == "add":
        return data.scatter_add(axis, places, updates)
    raise UnsupportedArgument(f"mode {mode!r}")


def scatter_nd(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    """Write ``updates`` at the index tuples in the last dimension of ``indices``."""
    return _write(data, tuple(indices.long().unbind(-1)), updates, mode)


def _write(data: Tensor, places: tuple[slice | Tensor, ...], updates: Tensor, mode: str) -> Tensor:
    if mode not in ("add", "update"):
        raise UnsupportedArgument(f"mode {mode!r}")
    if any(isinstance(place, slice) for place in places):
        positions = torch.arange(data.numel()).reshape(data.shape)[places]
        flat = _write(data.flatten(), (positions.flatten(),), updates.flatten(), mode)
        return flat.reshape(data.shape)
    indices = tuple(place for place in places if isinstance(place, Tensor))
    return data.index_put(indices, updates, accumulate=mode == "add")


def _positive(indices: Tensor, size: int) -> Tensor:
    wide = indices.long()
    return torch.where(wide < 0, wide + size, wide)


KERNELS = {
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "scatter": scatter,
    "scatter_along_axis": scatter_along_axis,
    "scatter_nd": scatter_nd,
}
