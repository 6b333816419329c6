"""MobileNets for CIFAR, as kuangliu/pytorch-cifar trains them, under its tensor names.

MobileNet (arXiv 1704.04861) and MobileNetV2 (1801.04381). The mean behind the last stage is over
the whole map. Theirs is over 2×2 and 4×4 pixels: the same for images of 25 to 32 pixels; theirs
takes nothing much smaller, and above leaves pixels out or has no function.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.cifar_mobilenet_table import (
    INPUT,
    STEM,
    V2_FEATURES,
    V2_PUBLISHED,
    Block,
    detect_v1,
    detect_v2,
    v2_blocks,
)
from cnn_export.models.parts.blocks.residual_blocks import convolution
from cnn_export.models.parts.mobilenet_pairs import MOBILENET_PAIRS
from cnn_export.models.parts.widths import require_positive
from cnn_export.models.registry import register_model

_REPOSITORY = "kuangliu/pytorch-cifar"


class DepthwisePair(nn.Module):
    """3×3 depthwise, then 1×1; batch norm and ReLU behind each."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, inputs, 3, stride, groups=inputs)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = convolution(inputs, outputs, 1)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        maps = functional.relu(self.bn1(self.conv1(maps)))
        return functional.relu(self.bn2(self.conv2(maps)))


class InvertedResidual(nn.Module):
    """1×1 expand, 3×3 depthwise, 1×1 project, with ReLU; a shortcut wherever the stride is 1."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.strided = block.stride > 1
        self.conv1 = convolution(block.inputs, block.hidden, 1)
        self.bn1 = nn.BatchNorm2d(block.hidden)
        self.conv2 = convolution(block.hidden, block.hidden, 3, block.stride, block.hidden)
        self.bn2 = nn.BatchNorm2d(block.hidden)
        self.conv3 = convolution(block.hidden, block.outputs, 1)
        self.bn3 = nn.BatchNorm2d(block.outputs)
        self.shortcut = nn.Sequential()
        if not self.strided and block.inputs != block.outputs:
            self.shortcut.append(convolution(block.inputs, block.outputs, 1))
            self.shortcut.append(nn.BatchNorm2d(block.outputs))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        branch = functional.relu(self.bn1(self.conv1(maps)))
        branch = functional.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        return branch if self.strided else branch + self.shortcut(maps)


class CifarMobileNet(nn.Module):
    """A stem without stride, blocks, in MobileNetV2 a 1×1 convolution, the mean, one layer."""

    def __init__(
        self,
        blocks: list[nn.Module],
        outputs: int,
        classes: int,
        in_channels: int,
        features: int | None = None,
    ) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, STEM, 3)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.layers = nn.Sequential(*blocks)
        if features is not None:
            self.conv2 = convolution(outputs, features, 1)
            self.bn2 = nn.BatchNorm2d(features)
        self.linear = nn.Linear(features or outputs, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        maps = self.layers(functional.relu(self.bn1(self.conv1(image))))
        if hasattr(self, "conv2"):
            maps = functional.relu(self.bn2(self.conv2(maps)))
        return self.linear(functional.adaptive_avg_pool2d(maps, 1).flatten(1))


@register_model(
    source=f"arXiv 1704.04861; {_REPOSITORY}",
    detect=detect_v1,
    input_size=INPUT,
    also_called={"MobileNet": {}},
    authors_sides=(25, 32),
)
def cifar_mobilenet(classes: int = 10, in_channels: int = 3) -> CifarMobileNet:
    """MobileNet (V1) for 32×32 pixels.

    Raises:
        ValueError: a size is not positive.
    """
    require_positive("CIFAR's MobileNet", classes, in_channels)
    blocks, inputs = list[nn.Module](), STEM
    for outputs, stride in MOBILENET_PAIRS:
        blocks.append(DepthwisePair(inputs, outputs, stride))
        inputs = outputs
    return CifarMobileNet(blocks, inputs, classes, in_channels)


@register_model(
    source=f"arXiv 1801.04381; {_REPOSITORY}",
    detect=detect_v2,
    input_size=INPUT,
    published=V2_PUBLISHED,
    also_called={"MobileNetV2": {}},
    authors_sides=(25, 32),
)
def cifar_mobilenet_v2(classes: int = 10, in_channels: int = 3) -> CifarMobileNet:
    """MobileNetV2 for 32×32 pixels.

    Raises:
        ValueError: a size is not positive.
    """
    require_positive("CIFAR's MobileNet", classes, in_channels)
    table = list(v2_blocks())
    blocks: list[nn.Module] = [InvertedResidual(block) for block in table]
    return CifarMobileNet(blocks, table[-1].outputs, classes, in_channels, V2_FEATURES)
