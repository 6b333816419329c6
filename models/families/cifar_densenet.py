"""DenseNet (arXiv 1608.06993) for CIFAR, as kuangliu/pytorch-cifar trains it, under its names.

The mean behind the last block is over the whole map. Theirs is over 4×4 pixels: the same for images
of 32 to 39 pixels; theirs takes nothing smaller, and above leaves pixels out or has no function.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.cifar_densenet_table import (
    BLOCKS,
    BOTTLENECK,
    INPUT,
    PUBLISHED,
    block_inputs,
    detect,
)
from cnn_export.models.parts.blocks.residual_blocks import convolution
from cnn_export.models.registry import register_model


class DenseLayer(nn.Module):
    """1×1, then 3×3, with batch norm and ReLU before each; its maps stand before its input's."""

    def __init__(self, inputs: int, growth_rate: int) -> None:
        super().__init__()
        inner = BOTTLENECK * growth_rate
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = convolution(inputs, inner, 1)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv2 = convolution(inner, growth_rate, 3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, growth_rate + in, H, W)."""
        grown = self.conv1(functional.relu(self.bn1(maps)))
        grown = self.conv2(functional.relu(self.bn2(grown)))
        return torch.cat([grown, maps], 1)


class Transition(nn.Module):
    """Batch norm, ReLU, 1×1, and an average over 2×2; an odd last row or column is left out."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(inputs)
        self.conv = convolution(inputs, outputs, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌊H/2⌋, ⌊W/2⌋)."""
        return functional.avg_pool2d(self.conv(functional.relu(self.bn(maps))), 2)


class CifarDenseNet(nn.Module):
    """A stem without stride, four dense blocks with transitions between them, the mean, a layer."""

    def __init__(self, depth: int, growth_rate: int, classes: int, in_channels: int) -> None:
        super().__init__()
        inputs, blocks = block_inputs(depth, growth_rate), BLOCKS[depth]
        self.conv1 = convolution(in_channels, inputs[0], 3)
        for i, count in enumerate(blocks):
            widths = [inputs[i] + j * growth_rate for j in range(count + 1)]
            layers = [DenseLayer(width, growth_rate) for width in widths[:-1]]
            setattr(self, f"dense{i + 1}", nn.Sequential(*layers))
            if i + 1 < len(blocks):
                setattr(self, f"trans{i + 1}", Transition(widths[-1], inputs[i + 1]))
        self.bn = nn.BatchNorm2d(inputs[-1])
        self.linear = nn.Linear(inputs[-1], classes)
        self.count = len(blocks)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W), H, W ≥ 8."""
        maps = self.conv1(image)
        for i in range(1, self.count + 1):
            maps = getattr(self, f"dense{i}")(maps)
            maps = getattr(self, f"trans{i}")(maps) if i < self.count else maps
        maps = functional.relu(self.bn(maps))
        return self.linear(functional.adaptive_avg_pool2d(maps, 1).flatten(1))


@register_model(
    source="arXiv 1608.06993; kuangliu/pytorch-cifar",
    detect=detect,
    input_size=INPUT,
    published=PUBLISHED,
    also_called={
        "densenet_cifar": {"depth": 121, "growth_rate": 12},
        **{f"DenseNet{depth}": {"depth": depth} for depth in BLOCKS},
    },
    authors_sides=(32, 39),
)
def cifar_densenet(
    depth: int = 121, growth_rate: int = 12, classes: int = 10, in_channels: int = 3
) -> CifarDenseNet:
    """DenseNet of 121, 161, 169 or 201 layers for 32×32 pixels; theirs of growth rate 12 has 121.

    Raises:
        ValueError: there is no such depth, or a size is not positive.
    """
    if depth not in BLOCKS:
        raise ValueError(f"DenseNets have {', '.join(map(str, BLOCKS))} layers, got {depth}")
    if min(growth_rate, classes, in_channels) < 1:
        sizes = (growth_rate, classes, in_channels)
        raise ValueError(f"DenseNet needs a growth rate, classes and in_channels, got {sizes}")
    return CifarDenseNet(depth, growth_rate, classes, in_channels)
