"""Ops that move elements without computing: reshape, transpose, join, rearrange."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Ints, Tensors, UnsupportedArgument


def reshape(x: Tensor, shape: Ints) -> Tensor:
    """Reshape; 0 keeps the dimension of x at that place, −1 is inferred."""
    if 0 in shape and len(shape) != x.dim():
        raise UnsupportedArgument(f"shape {shape} keeps dimensions of a rank {x.dim()} tensor")
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])


def flatten2d(x: Tensor, axis: int = 1) -> Tensor:
    """Flatten the dimensions before ``axis`` into one and the others into another."""
    leading = math.prod(x.shape[:axis])
    return x.reshape(leading, x.numel() // leading)


def expand_dims(x: Tensor, axes: Ints) -> Tensor:
    """Insert dimensions of size 1 at ``axes`` of the result."""
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def squeeze(x: Tensor, axes: Ints | None = None) -> Tensor:
    """Drop dimensions of size 1 (all of them when ``axes`` is absent)."""
    return x.squeeze() if axes is None else x.squeeze(axes)


def transpose(x: Tensor, perm: Ints) -> Tensor:
    """Permute the dimensions."""
    return x.permute(perm)


def concat(values: Tensors, axis: int, interleave: bool = False) -> Tensor:
    """Join along ``axis``; interleaved, element i of all tensors stands before any element i+1."""
    if not interleave:
        return torch.cat(values, axis)
    axis %= values[0].dim()
    return torch.stack(values, axis + 1).flatten(axis, axis + 1)


def stack(values: Tensors, axis: int) -> Tensor:
    """Join along a new dimension ``axis``."""
    return torch.stack(values, axis)


def split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Ints | None = None
) -> list[Tensor]:
    """Cut along ``axis`` into ``split_sizes``, or into ``num_splits`` equal parts."""
    if split_sizes is None:
        if num_splits is None:
            raise UnsupportedArgument("neither num_splits nor split_sizes is given")
        split_sizes = (x.shape[axis] // num_splits,) * num_splits
    return list(torch.split(x, list(split_sizes), axis))


def tile(x: Tensor, reps: Ints) -> Tensor:
    """Repeat dimension i ``reps[i]`` times."""
    return x.repeat(reps)


def reverse(x: Tensor, axes: Ints | None = None) -> Tensor:
    """Reverse the order along ``axes`` (all when absent)."""
    return x.flip(tuple(range(x.dim())) if axes is None else axes)


def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """(N, C·f², H, W) to (N, C, H·f, W·f); channel-major, as PyTorch."""
    return F.pixel_shuffle(x, upscale_factor)


def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    """(N, C, H·f, W·f) to (N, C·f², H, W); channel-major, as PyTorch."""
    return F.pixel_unshuffle(x, downscale_factor)


def depth_to_space(x: Tensor, block_size: int) -> Tensor:
    """(N, f²·C, H, W) to (N, C, H·f, W·f); block-major, as TensorFlow."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, block_size, block_size, c // block_size**2, h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, h * block_size, w * block_size)


def space_to_depth(x: Tensor, block_size: int) -> Tensor:
    """(N, C, H·f, W·f) to (N, f²·C, H, W); block-major, as TensorFlow."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // block_size, block_size, w // block_size, block_size)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(n, -1, h // block_size, w // block_size)


KERNELS = {
    "concat": concat,
    "depth_to_space": depth_to_space,
    "expand_dims": expand_dims,
    "flatten2d": flatten2d,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "reshape": reshape,
    "reverse": reverse,
    "space_to_depth": space_to_depth,
    "split": split,
    "squeeze": squeeze,
    "stack": stack,
    "tile": tile,
    "transpose": transpose,
}
