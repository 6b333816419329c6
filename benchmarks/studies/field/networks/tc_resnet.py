"""TC-ResNet8 (Interspeech 2019, arXiv 1904.03814): key words by convolutions over time alone."""

from __future__ import annotations

import itertools

import torch
from torch import nn


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv1d(inputs, outputs, 9, 2, 4, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
            nn.Conv1d(outputs, outputs, 9, 1, 4, bias=False),
            nn.BatchNorm1d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.Conv1d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.convs(x) + self.shortcut(x))


class TcResNet(nn.Module):
    """Cepstral coefficients (1, 40, frames) → scores (1, words)."""

    def __init__(self, widths: tuple[int, ...] = (16, 24, 32, 48), words: int = 12) -> None:
        """Build it; the paper's TC-ResNet8 by default."""
        super().__init__()
        self.stem = nn.Conv1d(40, widths[0], 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in itertools.pairwise(widths)))
        self.head = nn.Linear(widths[-1], words)

    def forward(self, cepstrum: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        return self.head(self.blocks(self.stem(cepstrum)).mean(-1))
