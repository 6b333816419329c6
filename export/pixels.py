"""A network that takes raw pixels: the checkpoint's normalization as part of the network.

network(x)  ⇒  network((x / 255 − mean) / std)

An image package is fed whole pixels by the system's camera and photo interfaces, so what a caller
would have computed has to be inside. Artifact and reference both start from this module.
"""

from __future__ import annotations

import torch
from torch import nn

from cnn_export.inputs import normalization_statistics

_WHITE = 255.0


class FromPixels(nn.Module):
    """Normalizes an image of shape (batch, channels, height, width), values 0 to 255."""

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, network: nn.Module, normalization: str) -> None:
        super().__init__()
        mean, std = (torch.tensor(v) for v in normalization_statistics(normalization))
        self.network = network
        self.register_buffer("scale", (1 / (_WHITE * std)).reshape(1, -1, 1, 1))
        self.register_buffer("offset", (-mean / std).reshape(1, -1, 1, 1))

    def forward(self, image: torch.Tensor) -> object:
        """Return what the network returns for the normalized image."""
        return self.network(image * self.scale + self.offset)
