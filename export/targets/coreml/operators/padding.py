"""The ``pad`` op, and the padding arithmetic that convolutions and pools share.

MIL writes pads as ``[before₀, after₀, before₁, after₁, …]``; torch's ``F.pad`` wants the last
dimension first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Ints, UnsupportedArgument

Pads = tuple[tuple[int, int], ...]
"""(before, after) per spatial dimension."""
ADVICE = "an export without --no-reparam spells it out"
"""What a user does where a spelling's meaning is disputed."""


def pad(x: Tensor, pad: Ints, mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """Pad the last ``len(pad) / 2`` dimensions: ``constant``, ``reflect`` or ``replicate``."""
    pads = tuple(zip(pad[::2], pad[1::2], strict=True))
    if mode == "constant":
        return pad_spatial(x, pads, constant_val)
    if mode not in ("reflect", "replicate"):
        raise UnsupportedArgument(f"mode {mode!r} is unknown")
    first = x.dim() - len(pads)
    for dimension, (before, after) in enumerate(pads, start=first):
        x = x.index_select(dimension, _source_indices(x.shape[dimension], before, after, mode))
    return x


def _source_indices(size: int, before: int, after: int, mode: str) -> Tensor:
    """Return for every padded position the position it is copied from."""
    limit = size - 1 if mode == "reflect" else size
    if max(before, after) > limit:
        raise UnsupportedArgument(f"{mode} padding of {max(before, after)} on size {size}")
    positions = torch.arange(-before, size + after)
    if mode == "replicate":
        return positions.clamp(0, size - 1)
    return (size - 1) - ((size - 1) - positions.abs()).abs()


def resolve_pads(
    pad_type: str,
    pad: Sequence[int] | None,
    sizes: Sequence[int],
    kernel_sizes: Sequence[int],
    strides: Sequence[int],
) -> Pads:
    """Return the pads of a convolution or pool whose (dilated) kernel is ``kernel_sizes``.

    ``same`` pads to ⌈size/stride⌉ outputs, ``same_lower`` puts an odd element before.

    Raises:
        UnsupportedArgument: ``pad_type`` is none of valid, custom, same, same_lower, or it is
            ``same`` with an odd element, which its definition puts on either side.
    """
    if pad_type == "valid":
        return ((0, 0),) * len(sizes)
    if pad_type == "custom":
        if pad is None:
            raise UnsupportedArgument("pad_type 'custom' needs parameter 'pad'")
        return tuple(zip(pad[::2], pad[1::2], strict=True))
    if pad_type not in ("same", "same_lower"):
        raise UnsupportedArgument(f"pad_type {pad_type!r} is unknown")
    return tuple(
        _same(size, kernel, stride, lower=pad_type == "same_lower")
        for size, kernel, stride in zip(sizes, kernel_sizes, strides, strict=True)
    )


def _same(size: int, kernel: int, stride: int, *, lower: bool) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + kernel - size)
    less, more = total // 2, total - total // 2
    if less != more and not lower:
        raise UnsupportedArgument(
            f"pad_type 'same' with an odd row of padding: its side is disputed; {ADVICE}"
        )
    return more, less


def pad_spatial(x: Tensor, pads: Pads, value: float) -> Tensor:
    """Return x with its last ``len(pads)`` dimensions padded with ``value``."""
    flat = [amount for pair in reversed(pads) for amount in pair]
    return F.pad(x, flat, value=value) if any(flat) else x


KERNELS = {"pad": pad}
