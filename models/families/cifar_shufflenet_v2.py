"""ShuffleNetV2 (arXiv 1807.11164) for CIFAR, as kuangliu/pytorch-cifar trains it.

The mean behind the last stage is over the whole map. Theirs is over 4×4 pixels: the same for images
of 25 to 32 pixels; theirs takes nothing smaller, and above leaves pixels out or has no function.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.cifar_shufflenet_v2_table import (
    CHANNELS,
    INPUT,
    STEM,
    UNITS,
    detect,
)
from cnn_export.models.parts.blocks.residual_blocks import convolution
from cnn_export.models.parts.channel_shuffle import channel_shuffle
from cnn_export.models.registry import register_model


def _interleaved(maps: torch.Tensor) -> torch.Tensor:
    """Return the channels of both halves of ``maps`` (N, C, H, W) in turn."""
    return channel_shuffle(maps, maps.shape[1] // 2)


class Unit(nn.Module):
    """One half of the channels passes 1×1, 3×3 depthwise, 1×1; then both halves take turns."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.passed = half = channels // 2
        self.conv1, self.bn1 = convolution(half, half, 1), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = convolution(half, half, 3, groups=half), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = convolution(half, half, 1), nn.BatchNorm2d(half)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the same size."""
        branch = functional.relu(self.bn1(self.conv1(maps[:, self.passed :])))
        branch = self.bn2(self.conv2(branch))
        branch = functional.relu(self.bn3(self.conv3(branch)))
        return _interleaved(torch.cat([maps[:, : self.passed], branch], 1))


class StridedUnit(nn.Module):
    """Two strided branches on all channels, each to one half of the result."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1, self.bn1 = convolution(inputs, inputs, 3, 2, inputs), nn.BatchNorm2d(inputs)
        self.conv2, self.bn2 = convolution(inputs, half, 1), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = convolution(inputs, half, 1), nn.BatchNorm2d(half)
        self.conv4, self.bn4 = convolution(half, half, 3, 2, half), nn.BatchNorm2d(half)
        self.conv5, self.bn5 = convolution(half, half, 1), nn.BatchNorm2d(half)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/2⌉, ⌈W/2⌉)."""
        left = self.bn1(self.conv1(maps))
        left = functional.relu(self.bn2(self.conv2(left)))
        right = functional.relu(self.bn3(self.conv3(maps)))
        right = self.bn4(self.conv4(right))
        right = functional.relu(self.bn5(self.conv5(right)))
        return _interleaved(torch.cat([left, right], 1))


class CifarShuffleNetV2(nn.Module):
    """A stem without stride, three stages, a 1×1 convolution, the mean, one layer."""

    def __init__(self, width: float, classes: int, in_channels: int) -> None:
        super().__init__()
        *stages, features = CHANNELS[width]
        self.conv1, self.bn1 = convolution(in_channels, STEM, 3), nn.BatchNorm2d(STEM)
        inputs = STEM
        for i, (outputs, units) in enumerate(zip(stages, UNITS, strict=True), start=1):
            plain = [Unit(outputs) for _ in range(units)]
            setattr(self, f"layer{i}", nn.Sequential(StridedUnit(inputs, outputs), *plain))
            inputs = outputs
        self.conv2, self.bn2 = convolution(inputs, features, 1), nn.BatchNorm2d(features)
        self.linear = nn.Linear(features, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        maps = functional.relu(self.bn1(self.conv1(image)))
        for i in range(1, len(UNITS) + 1):
            maps = getattr(self, f"layer{i}")(maps)
        maps = functional.relu(self.bn2(self.conv2(maps)))
        return self.linear(functional.adaptive_avg_pool2d(maps, 1).flatten(1))


@register_model(
    source="arXiv 1807.11164; kuangliu/pytorch-cifar",
    detect=detect,
    input_size=INPUT,
    also_called={"ShuffleNetV2": {}},
    authors_sides=(25, 32),
)
def cifar_shufflenet_v2(
    width: float = 1.0, classes: int = 10, in_channels: int = 3
) -> CifarShuffleNetV2:
    """ShuffleNetV2 of width 0.5, 1, 1.5 or 2 for 32×32 pixels.

    Raises:
        ValueError: there is no such width, or a size is not positive.
    """
    if width not in CHANNELS or min(classes, in_channels) < 1:
        raise ValueError(
            "ShuffleNetV2 needs a width of 0.5, 1, 1.5 or 2, classes and in_channels, got"
            f" {(width, classes, in_channels)}"
        )
    return CifarShuffleNetV2(width, classes, in_channels)
