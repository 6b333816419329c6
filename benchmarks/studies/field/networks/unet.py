"""U-Net (MICCAI 2015, arXiv 1505.04597), with batch norm and padding as it is built today."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from cnn_export.benchmarks.studies.field.networks.parts import conv_norm


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*conv_norm(inputs, outputs, 3), *conv_norm(outputs, outputs, 3))


class UNet(nn.Module):
    """Image (1, 3, H, W), sides multiples of 8 → a mask (1, classes, H, W)."""

    def __init__(self, width: int = 8, classes: int = 2, levels: int = 3) -> None:
        """Build it with ``width`` channels at full size, doubled at each of ``levels``."""
        super().__init__()
        widths = [width << level for level in range(levels + 1)]
        self.first = _twice(3, width)
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), *_twice(a, b)) for a, b in itertools.pairwise(widths)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths[:-1]))
        self.after = nn.ModuleList(_twice(2 * w, w) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the scores of each class at each pixel."""
        x, kept = self.first(image), list[torch.Tensor]()
        for down in self.down:
            kept.append(x)
            x = down(x)
        for up, after in zip(self.up, self.after, strict=True):
            x = after(torch.cat([kept.pop(), up(x)], 1))
        return self.head(x)
