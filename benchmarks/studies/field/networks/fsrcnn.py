"""FSRCNN (ECCV 2016, arXiv 1608.00367): PReLU, and one transposed convolution that enlarges."""

from __future__ import annotations

import torch
from torch import nn


class Fsrcnn(nn.Module):
    """Luma (1, 1, H, W) in [0, 1] → (1, 1, scale · H, scale · W), clamped to [0, 1]."""

    def __init__(self, wide: int = 56, narrow: int = 12, depth: int = 4, scale: int = 2) -> None:
        """Build it as the paper's FSRCNN(d, s, m): ``wide``, ``narrow``, ``depth``."""
        super().__init__()
        mapping = [
            layer
            for _ in range(depth)
            for layer in (nn.Conv2d(narrow, narrow, 3, padding=1), nn.PReLU(narrow))
        ]
        self.body = nn.Sequential(
            *(nn.Conv2d(1, wide, 5, padding=2), nn.PReLU(wide)),
            *(nn.Conv2d(wide, narrow, 1), nn.PReLU(narrow)),
            *mapping,
            *(nn.Conv2d(narrow, wide, 1), nn.PReLU(wide)),
        )
        self.enlarge = nn.ConvTranspose2d(wide, 1, 9, scale, 4, output_padding=scale - 1)

    def forward(self, luma: torch.Tensor) -> torch.Tensor:
        """Return the enlarged image."""
        return self.enlarge(self.body(luma)).clamp(0.0, 1.0)
