"""BlazePose (CVPRW 2020, arXiv 2006.10204), as MediaPipe's landmark models answer: five heads."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.benchmarks.studies.field.networks.parts import conv_norm, separable

_POINTS = 33


class FiveHeads(nn.Module):
    """Image (1, 3, H, W), sides multiples of 16 → five outputs, by name."""

    def __init__(self, width: int = 16) -> None:
        """Build it with ``width`` channels behind the stem."""
        super().__init__()
        self.stem = conv_norm(3, width, 3, 2)
        self.down = nn.ModuleList(
            separable(width << level, width << (level + 1), 5, 2) for level in range(3)
        )
        self.up = nn.ModuleList(separable(2 * w, w) for w in (4 * width, 2 * width, width))
        self.mask = nn.Conv2d(width, 1, 1)
        self.heat = nn.Conv2d(width, _POINTS, 1)
        self.landmarks = nn.Linear(8 * width, 5 * _POINTS)
        self.world = nn.Linear(8 * width, 3 * _POINTS)
        self.presence = nn.Linear(8 * width, 1)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return landmarks, whether there is a person, mask, heat maps, and landmarks in metres."""
        x, kept = self.stem(image), list[torch.Tensor]()
        for down in self.down:
            kept.append(x)
            x = down(x)
        pooled = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        for up in self.up:
            larger = functional.interpolate(
                up(x), scale_factor=2, mode="bilinear", align_corners=False
            )
            x = larger + kept.pop()
        return {
            "landmarks": self.landmarks(pooled),
            "presence": torch.sigmoid(self.presence(pooled)),
            "mask": self.mask(x),
            "heat_maps": self.heat(x),
            "world_landmarks": self.world(pooled),
        }
