"""Style transfer (ECCV 2016, arXiv 1603.08155) with instance norm (arXiv 1607.08022)."""

from __future__ import annotations

import torch
from torch import nn


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(inputs, outputs, kernel, stride),
        nn.InstanceNorm2d(outputs, affine=True),
    )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            _conv(channels, channels, 3), nn.ReLU(), _conv(channels, channels, 3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.convs(x)


class Style(nn.Module):
    """Image (1, 3, H, W), sides multiples of 4 → a painted one of its size."""

    def __init__(self, width: int = 16, blocks: int = 2) -> None:
        """Build it; the paper's network has a width of 32 and 5 blocks."""
        super().__init__()
        wide, widest = 2 * width, 4 * width
        self.layers = nn.Sequential(
            *(_conv(3, width, 9), nn.ReLU()),
            *(_conv(width, wide, 3, 2), nn.ReLU()),
            *(_conv(wide, widest, 3, 2), nn.ReLU()),
            *(_Residual(widest) for _ in range(blocks)),
            *(nn.Upsample(scale_factor=2), _conv(widest, wide, 3), nn.ReLU()),
            *(nn.Upsample(scale_factor=2), _conv(wide, width, 3), nn.ReLU()),
            *(nn.ReflectionPad2d(4), nn.Conv2d(width, 3, 9), nn.Tanh()),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the painted image, from -1 to 1."""
        return self.layers(image)
