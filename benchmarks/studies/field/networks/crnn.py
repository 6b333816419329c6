"""CRNN (arXiv 1507.05717): a line of text by convolutions and two bidirectional LSTMs."""

from __future__ import annotations

import torch
from torch import nn

from cnn_export.benchmarks.studies.field.networks.parts import conv_norm


class Crnn(nn.Module):
    """Grey line (1, 1, 32, W) → scores (W / 4 - 1, 1, letters)."""

    def __init__(self, width: int = 16, letters: int = 37) -> None:
        """Build it; the paper's network has a width of 64."""
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            *conv_norm(2 * width, 4 * width, 3),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            *conv_norm(4 * width, 8 * width, 3),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            nn.Conv2d(8 * width, 8 * width, 2),
            nn.ReLU(),
        )
        self.recurrent = nn.LSTM(8 * width, 4 * width, 2, bidirectional=True)
        self.head = nn.Linear(8 * width, letters)

    def forward(self, line: torch.Tensor) -> torch.Tensor:
        """Return the scores of every letter at every step."""
        steps = self.convs(line).squeeze(2).permute(2, 0, 1)
        return self.head(self.recurrent(steps)[0])
