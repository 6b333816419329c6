"""Octave convolution (ICCV 2019, arXiv 1904.05049): a share α of the maps at half resolution.

Section 3.2 of the paper. Strides are an average pool of both maps before the convolutions, as in
d-li14/octconv.pytorch, whose tensor names these are.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

Octaves = tuple[torch.Tensor, torch.Tensor | None]
"""High-frequency maps (N, C_h, H, W), low ones (N, C_l, ⌊H/2⌋, ⌊W/2⌋) unless the share is 0."""


class OctaveConv(nn.Module):
    """Four convolutions between two resolutions; a depthwise one has no path between them.

    ``inputs`` and ``outputs`` are the channels of (high, low) maps.
    """

    def __init__(
        self,
        inputs: tuple[int, int],
        outputs: tuple[int, int],
        kernel: int,
        stride: int = 1,
        *,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.strided = stride == 2
        low_in, low_out, across = inputs[1] > 0, outputs[1] > 0, not depthwise
        groups = inputs if depthwise else (1, 1)
        self.conv_l2l = None
        if low_in and low_out:
            self.conv_l2l = _conv(inputs[1], outputs[1], kernel, groups[1])
        self.conv_l2h = _conv(inputs[1], outputs[0], kernel) if low_in and across else None
        self.conv_h2l = _conv(inputs[0], outputs[1], kernel) if low_out and across else None
        self.conv_h2h = _conv(inputs[0], outputs[0], kernel, groups[0])

    def forward(self, high: torch.Tensor, low: torch.Tensor | None) -> Octaves:
        """Return both resolutions convolved, halved where the stride is 2."""
        if self.strided:
            high = functional.avg_pool2d(high, 2)
        high_result, low_result = self.conv_h2h(high), None
        if self.conv_h2l is not None:
            low_result = self.conv_h2l(functional.avg_pool2d(high, 2))
        if low is None:
            return high_result, low_result
        if self.conv_l2h is not None:
            raised = self.conv_l2h(low)  # of the size of halved high maps already
            high_result = high_result + (raised if self.strided else _raise(raised, high_result))
        if self.conv_l2l is not None:
            kept = self.conv_l2l(functional.avg_pool2d(low, 2) if self.strided else low)
            low_result = kept if low_result is None else low_result + kept
        return high_result, low_result


class OctaveConvNorm(nn.Module):
    """An octave convolution with a batch norm per resolution, and a ReLU."""

    def __init__(
        self,
        inputs: tuple[int, int],
        outputs: tuple[int, int],
        kernel: int,
        stride: int = 1,
        *,
        depthwise: bool = False,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = OctaveConv(inputs, outputs, kernel, stride, depthwise=depthwise)
        self.bn_h = nn.BatchNorm2d(outputs[0])
        self.bn_l = nn.BatchNorm2d(outputs[1]) if outputs[1] else None
        self.act = nn.ReLU() if relu else nn.Identity()

    def forward(self, octaves: Octaves) -> Octaves:
        """Return both resolutions convolved, normalized and clipped."""
        high, low = self.conv(*octaves)
        if low is None or self.bn_l is None:
            return self.act(self.bn_h(high)), None
        return self.act(self.bn_h(high)), self.act(self.bn_l(low))


def octave_channels(channels: int, alpha: float) -> tuple[int, int]:
    """Return the channels at full and at half resolution."""
    low = int(alpha * channels)
    return channels - low, low


def _conv(inputs: int, outputs: int, kernel: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)


def _raise(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Repeat pixels up to the size of ``high``: two by two where that is even, as published."""
    height, width = high.shape[-2:]
    if height % 2 == 0 and width % 2 == 0:
        return functional.interpolate(low, scale_factor=2, mode="nearest")
    return functional.interpolate(low, size=(height, width), mode="nearest")
