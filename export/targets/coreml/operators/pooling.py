"""Max and average pools of 1, 2 or 3 spatial dimensions.

``ceil_mode`` follows PyTorch, as MIL's definition says: the last window may overhang, must start
inside the padded input, and what it finds beyond that input counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_export.targets.coreml.operators.padding import ADVICE, Pads, pad_spatial, resolve_pads
from cnn_export.targets.coreml.operators.signature import Ints, UnsupportedArgument

_MAX: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def max_pool(
    x: Tensor,
    kernel_sizes: Ints,
    pad_type: str,
    strides: Ints | None = None,
    pad: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the largest element of every window; padding never wins."""
    strides = strides or (1,) * len(kernel_sizes)
    pads = resolve_pads(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    overhang = _overhang(x.shape[2:], pads, kernel_sizes, strides, ceil_mode)
    padded = pad_spatial(x, _sum(pads, overhang), float("-inf"))
    return _MAX[len(kernel_sizes)](padded, kernel_sizes, strides)


def avg_pool(
    x: Tensor,
    kernel_sizes: Ints,
    pad_type: str,
    strides: Ints | None = None,
    pad: Ints | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """Return every window's sum over the number of its elements, with or without the padding.

    Raises:
        UnsupportedArgument: a window overhangs: devices were measured to divide it by the whole
            kernel (apple/coremltools 2772, 2844), PyTorch by what is there.
    """
    strides = strides or (1,) * len(kernel_sizes)
    pads = resolve_pads(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    overhang = _overhang(x.shape[2:], pads, kernel_sizes, strides, ceil_mode)
    if any(after for _, after in overhang):
        raise UnsupportedArgument(f"ceil_mode: Core ML's divisor is disputed; {ADVICE}")
    counted = torch.ones_like(x[:1, :1])
    counted = pad_spatial(counted, pads, 0.0 if exclude_padding_from_average else 1.0)
    mean = _AVERAGE[len(kernel_sizes)]
    total = mean(pad_spatial(x, pads, 0.0), kernel_sizes, strides)
    return total / mean(counted, kernel_sizes, strides)


def _overhang(
    sizes: Sequence[int],
    pads: Pads,
    kernel_sizes: Sequence[int],
    strides: Sequence[int],
    ceil_mode: bool,
) -> Pads:
    """Return the extra trailing pad per dimension that turns floor mode into ceil mode."""
    if not ceil_mode:
        return ((0, 0),) * len(pads)
    if any(before != after for before, after in pads):
        raise UnsupportedArgument("ceil_mode with asymmetric padding")
    return tuple(
        (0, _extra(size, before, kernel, stride))
        for size, (before, _), kernel, stride in zip(
            sizes, pads, kernel_sizes, strides, strict=True
        )
    )


def _extra(size: int, pad: int, kernel: int, stride: int) -> int:
    padded = size + 2 * pad
    outputs = -(-(padded - kernel) // stride) + 1
    if (outputs - 1) * stride >= size + pad:
        outputs -= 1
    return max(0, (outputs - 1) * stride + kernel - padded)


def _sum(pads: Pads, more: Pads) -> Pads:
    return tuple((a + c, b + d) for (a, b), (c, d) in zip(pads, more, strict=True))


KERNELS = {"avg_pool": avg_pool, "max_pool": max_pool}
