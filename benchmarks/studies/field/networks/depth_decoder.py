"""Monodepth2's decoder (ICCV 2019, arXiv 1806.01260): reflected borders, ELU, four disparities."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

from cnn_export.benchmarks.studies.field.networks.parts import conv_norm


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3))


class DepthDecoder(nn.Module):
    """Image (1, 3, H, W), sides multiples of 16 → disparities from 1/8 of its size to all of it."""

    def __init__(self, width: int = 8) -> None:
        """Build it on an encoder of four plain stages; the paper's is a ResNet-18."""
        super().__init__()
        widths = [width << level for level in range(4)]
        self.encoder = nn.ModuleList(
            conv_norm(a, b, 3, 2) for a, b in zip((3, *widths), widths, strict=False)
        )
        inner = [*reversed(widths), width]
        self.before = nn.ModuleList(_conv(a, b) for a, b in itertools.pairwise(inner))
        skips = [*reversed(widths[:-1]), 0]
        self.after = nn.ModuleList(
            _conv(b + skip, b) for b, skip in zip(inner[1:], skips, strict=True)
        )
        self.heads = nn.ModuleList(_conv(b, 1) for b in inner[1:])

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the disparities, the coarsest first."""
        maps, x = list[torch.Tensor](), image
        for stage in self.encoder:
            x = stage(x)
            maps.append(x)
        maps.pop()
        disparities = list[torch.Tensor]()
        for before, after, head in zip(self.before, self.after, self.heads, strict=True):
            x = functional.interpolate(functional.elu(before(x)), scale_factor=2, mode="nearest")
            x = torch.cat([x, maps.pop()], 1) if maps else x
            x = functional.elu(after(x))
            disparities.append(torch.sigmoid(head(x)))
        return disparities
