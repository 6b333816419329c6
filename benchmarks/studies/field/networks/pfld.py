"""PFLD (arXiv 1902.10859): facial landmarks from maps of three sizes, and PReLU."""

from __future__ import annotations

import torch
from torch import nn

from cnn_export.benchmarks.studies.field.networks.parts import conv_norm


class _Inverted(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        self.convs = nn.Sequential(
            *conv_norm(inputs, inner, 1),
            *conv_norm(inner, inner, 3, stride, groups=inner),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.convs(x) if self.adds else self.convs(x)


class Pfld(nn.Module):
    """Image (1, 3, H, W), sides multiples of 16 → coordinates (1, 2 · points)."""

    def __init__(self, width: int = 16, points: int = 68) -> None:
        """Build it; the paper's network has a width of 64."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1), nn.PReLU(width), *conv_norm(width, width, 3, groups=width)
        )
        self.first = nn.Sequential(_Inverted(width, width, 2, 2), _Inverted(width, width, 1, 2))
        self.second = nn.Sequential(
            _Inverted(width, 2 * width, 2, 2), _Inverted(2 * width, width // 4, 1, 2)
        )
        self.third = conv_norm(width // 4, width // 2, 3, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(width // 4 + width // 2 + width, 2 * points)
        self.last = nn.Sequential(nn.Conv2d(width // 2, width, 3, padding=1), nn.PReLU())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return x and y of every point."""
        second = self.second(self.first(self.stem(image)))
        third = self.third(second)
        maps = (second, third, self.last(third))
        return self.head(torch.cat([self.pool(each).flatten(1) for each in maps], 1))
