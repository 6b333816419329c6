"""DenseNet-BC (arXiv 1608.06993) for small images, as gpleiss/efficient_densenet_pytorch trains it.

Tensor names are that repository's. What makes it efficient, computing concatenations again on the
way back, is of training: the network is the plain one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.densenet_bc_table import (
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
    """1×1, then 3×3, with batch norm and ReLU before each; its maps stand behind its input's."""

    def __init__(self, inputs: int, growth_rate: int) -> None:
        super().__init__()
        inner = BOTTLENECK * growth_rate
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), convolution(inputs, inner, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(inner), convolution(inner, growth_rate, 3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, in + growth_rate, H, W)."""
        grown = self.conv1(functional.relu(self.norm1(maps)))
        grown = self.conv2(functional.relu(self.norm2(grown)))
        return torch.cat([maps, grown], 1)


class DenseNetBC(nn.Module):
    """A stem without stride, dense blocks, each but the last with a transition, and a layer."""

    def __init__(
        self, blocks: tuple[int, ...], growth_rate: int, stem: int, classes: int, in_channels: int
    ) -> None:
        super().__init__()
        inputs = block_inputs(blocks, growth_rate, stem)
        layers = OrderedDict[str, nn.Module](conv0=convolution(in_channels, stem, 3))
        for i, count in enumerate(blocks, start=1):
            layers[f"denseblock{i}"] = nn.Sequential(
                OrderedDict(_dense_layers(inputs[i - 1], count, growth_rate))
            )
            if i < len(blocks):
                grown = inputs[i - 1] + count * growth_rate
                layers[f"transition{i}"] = _transition(grown, inputs[i])
        layers["norm_final"] = nn.BatchNorm2d(inputs[-1])
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(inputs[-1], classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        maps = functional.relu(self.features(image))
        return self.classifier(functional.adaptive_avg_pool2d(maps, 1).flatten(1))


def _dense_layers(inputs: int, count: int, growth_rate: int) -> Iterator[tuple[str, nn.Module]]:
    for layer in range(count):
        yield f"denselayer{layer + 1}", DenseLayer(inputs + layer * growth_rate, growth_rate)


def _transition(inputs: int, outputs: int) -> nn.Sequential:
    """Batch norm, ReLU, 1×1, and an average over 2×2; an odd last row or column is left out."""
    layers: dict[str, nn.Module] = {
        "norm": nn.BatchNorm2d(inputs),
        "relu": nn.ReLU(),
        "conv": convolution(inputs, outputs, 1),
        "pool": nn.AvgPool2d(2),
    }
    return nn.Sequential(OrderedDict(layers))


@register_model(
    source="arXiv 1608.06993; gpleiss/efficient_densenet_pytorch",
    detect=detect,
    input_size=INPUT,
    published=PUBLISHED,
)
def densenet_bc(
    blocks: tuple[int, ...] = BLOCKS,
    growth_rate: int = 12,
    stem: int = 24,
    classes: int = 10,
    in_channels: int = 3,
) -> DenseNetBC:
    """DenseNet-BC of 100 layers for 32×32 pixels: 0.8 M parameters.

    Raises:
        ValueError: there is no block, or a size is not positive.
    """
    if min((*blocks, growth_rate, stem, classes, in_channels)) < 1 or not blocks:
        raise ValueError(
            "DenseNet-BC needs blocks, a growth rate, a stem, classes and in_channels, got"
            f" {(tuple(blocks), growth_rate, stem, classes, in_channels)}"
        )
    return DenseNetBC(tuple(blocks), growth_rate, stem, classes, in_channels)
