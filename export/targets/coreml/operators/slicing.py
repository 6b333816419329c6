"""Slices of a tensor, and writing into them."""

from __future__ import annotations

import torch
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Bools, Ints


def slice_by_index(
    x: Tensor,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Bools | None = None,
    end_mask: Bools | None = None,
    squeeze_mask: Bools | None = None,
) -> Tensor:
    """Return ``x[begin:end:stride]`` per dimension; a squeezed dimension is indexed at begin."""
    indices = _indices(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    for dimension, index in enumerate(indices):
        x = x.index_select(dimension, index)
    squeezed = [d for d, flag in enumerate(squeeze_mask or ()) if flag]
    return x.squeeze(squeezed) if squeezed else x


def slice_by_size(x: Tensor, begin: Ints, size: Ints) -> Tensor:
    """Return ``size`` elements from ``begin`` on per dimension; −1 takes all that remain."""
    for dimension, (first, count) in enumerate(zip(begin, size, strict=True)):
        start = first % x.shape[dimension] if first < 0 else first
        length = x.shape[dimension] - start if count == -1 else count
        x = x.narrow(dimension, start, length)
    return x


def slice_update(
    x: Tensor,
    update: Tensor,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Bools | None = None,
    end_mask: Bools | None = None,
    squeeze_mask: Bools | None = None,
) -> Tensor:
    """Return x with ``x[begin:end:stride]`` replaced by ``update``."""
    taken = _indices(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    result = x.clone()
    result[torch.meshgrid(*taken, indexing="ij")] = update.reshape([len(i) for i in taken])
    return result


def _indices(
    x: Tensor,
    begin: Ints,
    end: Ints,
    stride: Ints | None,
    begin_mask: Bools | None,
    end_mask: Bools | None,
    squeeze_mask: Bools | None,
) -> list[Tensor]:
    """Return the selected positions of every dimension, with numpy's rules for negatives."""
    selected: list[Tensor] = []
    for d, size in enumerate(x.shape):
        first = None if begin_mask and begin_mask[d] else begin[d]
        last = None if end_mask and end_mask[d] else end[d]
        positions = range(size)[first : last : stride[d] if stride else 1]
        if squeeze_mask and squeeze_mask[d]:
            positions = range(size)[first:][:1]
        selected.append(torch.tensor(list(positions), dtype=torch.int64))
    return selected


KERNELS = {
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "slice_update": slice_update,
}
