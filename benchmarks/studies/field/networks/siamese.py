"""SiamFC (ECCVW 2016, arXiv 1606.09549): what was seen is the kernel over what is searched."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class SiamFc(nn.Module):
    """Exemplar (1, 3, h, w) and search area (1, 3, H, W) → a map of scores (1, 1, ., .)."""

    def __init__(self, width: int = 24) -> None:
        """Build it; the paper's network has a width of 96."""
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, width, 11, 2), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(width, 2 * width, 5, groups=2), nn.BatchNorm2d(2 * width), nn.ReLU()),
            *(nn.MaxPool2d(3, 2), nn.Conv2d(2 * width, 2 * width, 3)),
        )
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, exemplar: torch.Tensor, search: torch.Tensor) -> torch.Tensor:
        """Return how alike each place is."""
        kernel, area = self.features(exemplar), self.features(search)
        return 0.001 * functional.conv2d(area, kernel) + self.bias
