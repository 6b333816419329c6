"""Convolution and transposed convolution of 1, 2 or 3 spatial dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

from cnn_export.targets.coreml.operators.padding import Pads, pad_spatial, resolve_pads
from cnn_export.targets.coreml.operators.signature import Ints, UnsupportedArgument

_CONV: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE: dict[int, Callable[..., Tensor]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Ints | None = None,
    pad_type: str = "valid",
    pad: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Tensor:
    """Convolve x (N, C_in, *D) with weight (C_out, C_in/groups, *K)."""
    rank = x.dim() - 2
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    kernel_sizes = _dilated(weight.shape[2:], dilations)
    pads = resolve_pads(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    padded = pad_spatial(x, pads, 0.0)
    return _CONV[rank](padded, weight, bias, strides, 0, dilations, groups)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: Ints | None = None,
    output_shape: Ints | None = None,
    pad_type: str = "valid",
    strides: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Tensor:
    """Transposed convolution of x (N, C_in, *D) with weight (C_in, C_out/groups, *K).

    The full output has (D − 1)·stride + (K − 1)·dilation + 1 elements per dimension; the pads
    crop it, and ``output_shape`` says how many elements stay after the leading crop.
    """
    rank = x.dim() - 2
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    full = _CONV_TRANSPOSE[rank](x, weight, None, strides, 0, 0, groups, dilations)
    pads = _transposed_pads(pad_type, pad, full.shape[2:], x.shape[2:], strides)
    if output_shape is not None:
        pads = tuple(
            (before, size - before - wanted)
            for (before, _), size, wanted in zip(
                pads, full.shape[2:], output_shape[2:], strict=True
            )
        )
    cropped = pad_spatial(full, tuple((-before, -after) for before, after in pads), 0.0)
    return cropped if bias is None else cropped + bias.view(-1, *[1] * rank)


def _transposed_pads(
    pad_type: str,
    pad: Ints | None,
    full_sizes: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
) -> Pads:
    if pad_type == "same_lower":
        raise UnsupportedArgument("pad_type 'same_lower' of a transposed convolution")
    if pad_type != "same":
        return resolve_pads(pad_type, pad, full_sizes, full_sizes, strides)
    surplus = [
        full - size * stride for full, size, stride in zip(full_sizes, sizes, strides, strict=True)
    ]
    if min(surplus) < 0:
        raise UnsupportedArgument("pad_type 'same' with a stride larger than the kernel")
    return tuple((total // 2, total - total // 2) for total in surplus)


def _dilated(kernel_sizes: Sequence[int], dilations: Sequence[int]) -> list[int]:
    return [(k - 1) * d + 1 for k, d in zip(kernel_sizes, dilations, strict=True)]


KERNELS = {"conv": conv, "conv_transpose": conv_transpose}
