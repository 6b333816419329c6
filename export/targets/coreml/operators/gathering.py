"""Gather and scatter. An index outside of the tensor is refused, asked for or not.

Packages for iOS 17 and later always hold ``validate_indices``, and there a negative index is
outside; in older ones, which lack the parameter, it counts from the end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import UnsupportedArgument


def gather(
    x: Tensor,
    indices: Tensor,
    axis: int = 0,
    batch_dims: int = 0,
    validate_indices: bool | None = None,
) -> Tensor:
    """Return the slices of x at ``indices`` along ``axis``."""
    if batch_dims:
        raise UnsupportedArgument(f"batch_dims {batch_dims}")
    axis %= x.dim()
    picked = x.index_select(axis, _inside(indices.flatten(), x.shape[axis], validate_indices))
    return picked.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def gather_along_axis(
    x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool | None = None
) -> Tensor:
    """Return x at ``indices`` along ``axis``, position by position."""
    return torch.gather(x, axis, _inside(indices, x.shape[axis], validate_indices))


def gather_nd(
    x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool | None = None
) -> Tensor:
    """Return the slices of x at the index tuples in the last dimension of ``indices``."""
    if batch_dims:
        raise UnsupportedArgument(f"batch_dims {batch_dims}")
    return x[_places(indices, x, validate_indices)]


def scatter(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Tensor:
    """Write ``updates`` into the slices of data at ``indices`` (rank 1) along ``axis``."""
    _refuse_mode(mode)
    axis %= data.dim()
    places = (slice(None),) * axis + (_inside(indices, data.shape[axis], validate_indices),)
    return _write(data, places, updates, mode)


def scatter_along_axis(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Tensor:
    """Write ``updates`` to ``indices`` along ``axis``, position by position."""
    _refuse_mode(mode)
    places = _inside(indices, data.shape[axis], validate_indices)
    write = data.scatter_add if mode == "add" else data.scatter
    return write(axis, places, updates)


def scatter_nd(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Tensor:
    """Write ``updates`` at the index tuples in the last dimension of ``indices``."""
    _refuse_mode(mode)
    return _write(data, _places(indices, data, validate_indices), updates, mode)


def _refuse_mode(mode: str) -> None:
    if mode not in ("add", "update"):
        raise UnsupportedArgument(f"mode {mode!r}")


def _write(data: Tensor, places: tuple[slice | Tensor, ...], updates: Tensor, mode: str) -> Tensor:
    if any(isinstance(place, slice) for place in places):
        positions = torch.arange(data.numel()).reshape(data.shape)[places]
        flat = _write(data.flatten(), (positions.flatten(),), updates.flatten(), mode)
        return flat.reshape(data.shape)
    indices = tuple(place for place in places if isinstance(place, Tensor))
    return data.index_put(indices, updates, accumulate=mode == "add")


def _places(indices: Tensor, x: Tensor, validate_indices: bool | None) -> tuple[Tensor, ...]:
    """Return the indices into every leading dimension of x, from tuples in the last dimension."""
    return tuple(
        _inside(index, x.shape[dimension], validate_indices)
        for dimension, index in enumerate(indices.unbind(-1))
    )


def _inside(indices: Tensor, size: int, validate_indices: bool | None) -> Tensor:
    lowest = -size if validate_indices is None else 0
    wide = indices.long()
    outside = wide[(wide < lowest) | (wide >= size)]
    if outside.numel():
        raise UnsupportedArgument(f"index {int(outside[0])} is outside of {lowest}..{size - 1}")
    return torch.where(wide < 0, wide + size, wide)


KERNELS = {
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "scatter": scatter,
    "scatter_along_axis": scatter_along_axis,
    "scatter_nd": scatter_nd,
}
