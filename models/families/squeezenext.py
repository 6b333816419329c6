"""SqueezeNext: "Hardware-Aware Neural Network Design", CVPR workshops 2018 (arXiv 1803.10615).

A bottleneck of two reductions and a 3×3 convolution in two, 1×3 and 3×1. The authors' weights are
Caffe's; tensor names are those of pytorchcv, whose files load strictly. Its convolutions have a
bias before their batch norm.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.squeezenext_table import PUBLISHED, Table, Unit, detect, table
from cnn_export.models.parts.conv_norm import initialize
from cnn_export.models.registry import register_model


class ConvBlock(nn.Module):
    """Convolution with bias, batch norm, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int] = (1, 1),
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Convolve (N, in, H, W)."""
        return functional.relu(self.bn(self.conv(maps)))


class SqueezeUnit(nn.Module):
    """1×1 twice, 1×3, 3×1, 1×1; the shortcut, clipped too where it is convolved, added."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        inputs, hidden, stride = unit.inputs, unit.hidden, unit.stride
        self.conv1 = ConvBlock(inputs, hidden, stride=stride)
        self.conv2 = ConvBlock(hidden, hidden // 2)
        self.conv3 = ConvBlock(hidden // 2, hidden, (1, 3), padding=(0, 1))
        self.conv4 = ConvBlock(hidden, hidden, (3, 1), padding=(1, 0))
        self.conv5 = ConvBlock(hidden, unit.outputs)
        self.identity_conv = nn.Identity()
        if unit.converts:
            self.identity_conv = ConvBlock(inputs, unit.outputs, stride=stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        convolved = self.conv5(self.conv4(self.conv3(self.conv2(self.conv1(maps)))))
        return functional.relu(convolved + self.identity_conv(maps))


class Stem(nn.Module):
    """7×7 of stride 2, padded by one pixel, and a max pool that rounds its size up."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvBlock(inputs, outputs, (7, 7), 2, (1, 1))
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to about a quarter of its size."""
        return self.pool(self.conv(image))


class SqueezeNext(nn.Module):
    """The network of one :class:`~cnn_export.models.families.squeezenext_table.Table`."""

    def __init__(self, table: Table, classes: int, in_channels: int) -> None:
        super().__init__()
        layers: list[tuple[str, nn.Module]] = [("init_block", Stem(in_channels, table.stem))]
        for number, units in enumerate(table.stages, start=1):
            named = [(f"unit{i}", SqueezeUnit(unit)) for i, unit in enumerate(units, start=1)]
            layers.append((f"stage{number}", nn.Sequential(OrderedDict(named))))
        layers.append(("final_block", ConvBlock(table.stages[-1][-1].outputs, table.head)))
        self.features = nn.Sequential(OrderedDict(layers))
        self.output = nn.Linear(table.head, classes)
        self.apply(initialize)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_head(self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last feature maps (N, head, h, w), about a thirty-second of the image."""
        return self.features(image)

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of feature maps (N, head, h, w)."""
        return self.output(functional.adaptive_avg_pool2d(features, 1).flatten(1))


@register_model(source="arXiv 1803.10615", detect=detect, published=PUBLISHED)
def squeezenext(
    version: str = "23", width: float = 1.0, classes: int = 1000, in_channels: int = 3
) -> SqueezeNext:
    """SqueezeNext-23: 0.72 M parameters and 287 M multiply-accumulates at width 1.

    Published are versions 23 and 23v5 at widths 1, 1.5 and 2.

    Raises:
        ValueError: there is no such version, or another argument is not positive.
    """
    if classes < 1 or in_channels < 1:
        raise ValueError(
            f"SqueezeNext needs classes and in_channels, got {classes} and {in_channels}"
        )
    return SqueezeNext(table(version, width), classes, in_channels)
