"""Stacked hourglasses (ECCV 2016, arXiv 1603.06937): blocks before activation, maps added back."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.benchmarks.studies.field.networks.parts import conv_norm


def _before(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
    ]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.convs = nn.Sequential(
            *_before(channels, half, 1), *_before(half, half, 3), *_before(half, channels, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.convs(x)


class _Hourglass(nn.Module):
    """Pool, go deeper, enlarge, and add what stayed at this size."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.stays, self.down, self.up = (_Residual(channels) for _ in range(3))
        self.inner = _Hourglass(channels, depth - 1) if depth > 1 else _Residual(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        deeper = self.up(self.inner(self.down(functional.max_pool2d(x, 2, 2))))
        return self.stays(x) + functional.interpolate(deeper, scale_factor=2, mode="nearest")


class StackedHourglass(nn.Module):
    """Image (1, 3, H, W) → heat maps (1, joints, H / 4, W / 4) of each stack."""

    def __init__(self, width: int = 32, joints: int = 16, stacks: int = 2, depth: int = 2) -> None:
        """Build it; the paper's has a width of 256, 8 stacks and a depth of 4."""
        super().__init__()
        self.stem = nn.Sequential(
            conv_norm(3, width, 7, 2), _Residual(width), nn.MaxPool2d(2), _Residual(width)
        )
        self.glasses = nn.ModuleList(_Hourglass(width, depth) for _ in range(stacks))
        self.features = nn.ModuleList(conv_norm(width, width, 1) for _ in range(stacks))
        self.heads = nn.ModuleList(nn.Conv2d(width, joints, 1) for _ in range(stacks))
        self.back = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(stacks))
        self.heads_back = nn.ModuleList(nn.Conv2d(joints, width, 1) for _ in range(stacks))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return every stack's heat maps."""
        x, heat = self.stem(image), list[torch.Tensor]()
        for i, glass in enumerate(self.glasses):
            features = self.features[i](glass(x))
            heat.append(self.heads[i](features))
            x = x + self.back[i](features) + self.heads_back[i](heat[-1])
        return heat
