"""MobileNetV1 and ResNets with octave convolutions (ICCV 2019, arXiv 1904.05049).

Tensor names are those of d-li14/octconv.pytorch, to which the authors' own repository points;
they load strictly. Both end in maps of full resolution only. The low maps come back by nearest
resizing by two, which XNNPACK has not: written as copies, it stays in the delegate, and
Oct-MobileNetV1 is one partition on TFLite and ExecuTorch.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.octconv_table import (
    PUBLISHED_MOBILENET,
    PUBLISHED_RESNET,
    RESNET_BLOCKS,
    RESNET_EXPANSION,
    RESNET_STEM_CHANNELS,
    RESNET_WIDTHS,
    ROWS,
    STEM_CHANNELS,
    Row,
    alpha_in_range,
    detect_mobilenet,
    detect_resnet,
)
from cnn_export.models.parts.blocks.octave_conv import OctaveConvNorm, Octaves, octave_channels
from cnn_export.models.parts.conv_norm import conv_norm, initialize
from cnn_export.models.registry import register_model


class OctMobileNet(nn.Module):
    """MobileNetV1 with a share ``alpha`` of its maps at half resolution."""

    def __init__(self, alpha: float, classes: int, in_channels: int) -> None:
        super().__init__()
        stem = nn.Sequential(*conv_norm(in_channels, STEM_CHANNELS, 3, 2), nn.ReLU())
        self.features = nn.Sequential(stem, *(_separable(row, alpha) for row in ROWS))
        self.fc = nn.Linear(ROWS[-1].outputs, classes)
        self.apply(initialize)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_head(self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last feature maps (N, 1024, ⌊H/32⌋, ⌊W/32⌋), rounded up at the stem only."""
        stem, *layers = self.features
        octaves: Octaves = (stem(image), None)
        for layer in layers:
            octaves = layer(octaves)
        return octaves[0]

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of feature maps (N, 1024, h, w)."""
        return self.fc(functional.adaptive_avg_pool2d(features, 1).flatten(1))


def _separable(row: Row, alpha: float) -> nn.Sequential:
    inputs = octave_channels(row.inputs, alpha if row.low_in else 0)
    outputs = octave_channels(row.outputs, alpha if row.low_out else 0)
    depthwise = OctaveConvNorm(inputs, inputs, 3, row.stride, depthwise=True)
    return nn.Sequential(depthwise, OctaveConvNorm(inputs, outputs, 1))


class Bottleneck(nn.Module):
    """ResNet's bottleneck: 1×1, 3×3 with the stride, 1×1; the shortcut in both resolutions."""

    def __init__(
        self, inputs: tuple[int, int], width: tuple[int, int], stride: int, *, low_out: bool
    ) -> None:
        super().__init__()
        kept = width if low_out else (sum(width), 0)
        outputs = (kept[0] * RESNET_EXPANSION, kept[1] * RESNET_EXPANSION)
        self.conv1 = OctaveConvNorm(inputs, kept, 1)
        self.conv2 = OctaveConvNorm(kept, kept, 3, stride)
        self.conv3 = OctaveConvNorm(kept, outputs, 1, relu=False)
        self.downsample = None
        if stride != 1 or sum(inputs) != sum(outputs):
            self.downsample = nn.Sequential(OctaveConvNorm(inputs, outputs, 1, stride, relu=False))
        self.outputs = outputs

    def forward(self, octaves: Octaves) -> Octaves:
        """Map both resolutions."""
        shortcut = octaves if self.downsample is None else self.downsample(octaves)
        high, low = self.conv3(self.conv2(self.conv1(octaves)))
        high = functional.relu(high + shortcut[0])
        return high, None if low is None else functional.relu(low + shortcut[1])


class OctResNet(nn.Module):
    """A ResNet with bottlenecks; the last stage has one resolution."""

    def __init__(
        self, blocks: tuple[int, ...], alpha: float, classes: int, in_channels: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, RESNET_STEM_CHANNELS, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(RESNET_STEM_CHANNELS)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = (RESNET_STEM_CHANNELS, 0)
        for stage, (width, count) in enumerate(zip(RESNET_WIDTHS, blocks, strict=True)):
            layer: list[Bottleneck] = []
            for position in range(count):
                stride = 2 if stage and not position else 1
                octaves = octave_channels(width, alpha)
                layer.append(Bottleneck(inputs, octaves, stride, low_out=stage < 3))
                inputs = layer[-1].outputs
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layer))
        self.fc = nn.Linear(sum(inputs), classes)
        self.apply(initialize)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_head(self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last feature maps (N, 2048, h, w), a thirty-second of the image."""
        stem = self.maxpool(functional.relu(self.bn1(self.conv1(image))))
        octaves: Octaves = (stem, None)
        for stage in range(1, 5):
            octaves = self.get_submodule(f"layer{stage}")(octaves)
        return octaves[0]

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of feature maps (N, 2048, h, w)."""
        return self.fc(functional.adaptive_avg_pool2d(features, 1).flatten(1))


@register_model(source="arXiv 1904.05049", detect=detect_mobilenet, published=PUBLISHED_MOBILENET)
def oct_mobilenet(alpha: float = 0.5, classes: int = 1000, in_channels: int = 3) -> OctMobileNet:
    """Oct-MobileNetV1: 4.23 M parameters and 318 M multiply-accumulates at α = 1/2.

    Raises:
        ValueError: ``alpha`` is not between 0 and 1, or another argument not positive.
    """
    _check(classes, in_channels)
    return OctMobileNet(alpha_in_range(alpha), classes, in_channels)


@register_model(source="arXiv 1904.05049", detect=detect_resnet, published=PUBLISHED_RESNET)
def oct_resnet(
    depth: int = 50, alpha: float = 0.5, classes: int = 1000, in_channels: int = 3
) -> OctResNet:
    """Oct-ResNet of 26, 50, 101, 152 or 200 layers; 50: 2.4 G multiply-accumulates at α = 1/2.

    Raises:
        ValueError: ``depth`` is none of these, ``alpha`` not between 0 and 1, or another argument
            not positive.
    """
    _check(classes, in_channels)
    if depth not in RESNET_BLOCKS:
        depths = ", ".join(map(str, RESNET_BLOCKS))
        raise ValueError(f"Oct-ResNet has depths {depths}, got {depth}")
    return OctResNet(RESNET_BLOCKS[depth], alpha_in_range(alpha), classes, in_channels)


def _check(classes: int, in_channels: int) -> None:
    if classes < 1 or in_channels < 1:
        raise ValueError(f"a network needs classes and in_channels, got {classes}, {in_channels}")
