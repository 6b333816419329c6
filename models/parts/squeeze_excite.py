"""Squeeze-excite: scale each channel by a gate computed from all channels' means (1709.01507)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class SqueezeExcite(nn.Module):
    """``x · hardsigmoid(W₂ relu(W₁ mean(x)))`` by linear layers ``fc.0`` and ``fc.2``."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.channels = channels
        self.fc = nn.Sequential(
            nn.Linear(channels, squeezed),
            nn.ReLU(),
            nn.Linear(squeezed, channels),
            nn.Hardsigmoid(),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return ``maps`` (N, C, H, W) scaled per sample and channel."""
        gates = self.fc(functional.adaptive_avg_pool2d(maps, 1).flatten(1))
        return maps * gates.reshape(-1, self.channels, 1, 1)
