"""Asymmetric Convolution Block: "ACNet", ICCV 2019 (arXiv 1908.03930).

A k×k convolution trains beside a k×1 and a 1×k one, each with its own batch norm; all three are
linear, so one k×k convolution computes their sum. Tensor names are those of the authors' block.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

_FUNCTIONAL_MODES = {"zeros": "constant"}
"""Padding modes that ``functional.pad`` calls otherwise than ``nn.Conv2d``."""

Size = int | tuple[int, int]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


@dataclasses.dataclass(frozen=True)
class Margins:
    """Pixels to add before and after one spatial axis of the input; negative ones crop."""

    before: int
    after: int

    @property
    def even(self) -> int:
        """What a convolution's own padding can do: the common margin, if nothing is cropped."""
        return self.before if self.before == self.after and self.before > 0 else 0

    @property
    def rest(self) -> tuple[int, int]:
        """What is left to be padded (positive) or cropped (negative) outside."""
        return self.before - self.even, self.after - self.even


def strip_margins(kernel_size: int, padding: int, dilation: int) -> Margins:
    """Return the margins under which one row or column of a k×k kernel reads what it would there.

    The strip stands for line ``k // 2`` of the kernel, the middle one where k is odd. A margin is
    the kernel's padding less the lines on that side: none at "same" padding of an odd kernel, a
    crop below that, and one pixel apart from each other where k is even.
    """
    line = kernel_size // 2
    return Margins(padding - dilation * line, padding - dilation * (kernel_size - 1 - line))


class ACBlock(nn.Module):
    """``BN(k×k conv) + BN(k×1 conv) + BN(1×k conv)``, or after deployment one k×k convolution.

    ``padding`` belongs to the square kernel; the strips are placed in its middle. Any
    ``padding_mode`` of ``nn.Conv2d`` works: padding by lines acts on each axis by itself.
    ``affine=False`` leaves the batch norms without weight and bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        padding_mode: PaddingMode = "zeros",
        affine: bool = True,
        epsilon: float = 1e-5,
        deploy: bool = False,
    ) -> None:
        super().__init__()
        if kernel_size < 2:
            raise ValueError(f"a {kernel_size}x{kernel_size} kernel has no strips; it needs 2x2")
        pads, dilations = _pair(padding), _pair(dilation)
        self.mode = _FUNCTIONAL_MODES.get(padding_mode, padding_mode)
        self.rows = strip_margins(kernel_size, pads[0], dilations[0])
        self.columns = strip_margins(kernel_size, pads[1], dilations[1])

        def conv(kernel: tuple[int, int], padding: tuple[int, int], bias: bool) -> nn.Conv2d:
            return nn.Conv2d(
                in_channels,
                out_channels,
                kernel,
                stride,
                padding,
                dilation,
                groups,
                bias,
                padding_mode,
            )

        square = (kernel_size, kernel_size)
        if deploy:
            self.fused_conv = conv(square, pads, True)
            return
        self.square_conv = conv(square, pads, False)
        self.square_bn = nn.BatchNorm2d(out_channels, epsilon, affine=affine)
        self.ver_conv = conv((kernel_size, 1), (pads[0], self.columns.even), False)
        self.ver_bn = nn.BatchNorm2d(out_channels, epsilon, affine=affine)
        self.hor_conv = conv((1, kernel_size), (self.rows.even, pads[1]), False)
        self.hor_bn = nn.BatchNorm2d(out_channels, epsilon, affine=affine)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, h, w), the size that the square kernel gives."""
        if hasattr(self, "fused_conv"):
            return self.fused_conv(maps)
        square = self.square_bn(self.square_conv(maps))
        tall = self.ver_bn(self.ver_conv(_framed(maps, -1, self.columns.rest, self.mode)))
        wide = self.hor_bn(self.hor_conv(_framed(maps, -2, self.rows.rest, self.mode)))
        return square + tall + wide


def _framed(maps: torch.Tensor, axis: int, margins: tuple[int, int], mode: str) -> torch.Tensor:
    """Crop, then pad ``maps`` (N, C, H, W) along one axis (-1 or -2)."""
    before, after = margins
    if before < 0 or after < 0:
        kept = slice(max(0, -before), after if after < 0 else None)
        maps = maps[:, :, :, kept] if axis == -1 else maps[:, :, kept]
    grown = (max(0, before), max(0, after))
    if not any(grown):
        return maps
    return functional.pad(maps, (*grown, 0, 0) if axis == -1 else (0, 0, *grown), mode=mode)


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
