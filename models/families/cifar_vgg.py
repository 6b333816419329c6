"""VGG (arXiv 1409.1556) with batch norm for CIFAR, as kuangliu/pytorch-cifar trains it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.cifar_vgg_table import (
    CHANNELS,
    INPUT,
    PUBLISHED,
    REPEATS,
    detect,
)
from cnn_export.models.registry import register_model


class CifarVGG(nn.Module):
    """Five stages of 3×3 convolutions, each before a max pool, and one layer.

    The last map of a 32×32 image is one pixel; larger images' are averaged.
    """

    def __init__(self, depth: int, classes: int, in_channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*_layers(depth, in_channels))
        self.classifier = nn.Linear(CHANNELS[-1], classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W), H, W ≥ 32."""
        maps = self.features(image)
        if maps.shape[-2] > 1 or maps.shape[-1] > 1:
            maps = functional.adaptive_avg_pool2d(maps, 1)
        return self.classifier(maps.flatten(1))


def _layers(depth: int, inputs: int) -> Iterator[nn.Module]:
    for outputs, repeats in zip(CHANNELS, REPEATS[depth], strict=True):
        for _ in range(repeats):
            yield nn.Conv2d(inputs, outputs, 3, padding=1)
            yield nn.BatchNorm2d(outputs)
            yield nn.ReLU()
            inputs = outputs
        yield nn.MaxPool2d(2)


@register_model(
    source="arXiv 1409.1556; kuangliu/pytorch-cifar",
    detect=detect,
    input_size=INPUT,
    published=PUBLISHED,
    also_called={f"VGG{depth}": {"depth": depth} for depth in REPEATS},
)
def cifar_vgg(depth: int = 16, classes: int = 10, in_channels: int = 3) -> CifarVGG:
    """VGG of 11, 13, 16 or 19 layers for 32×32 pixels.

    Raises:
        ValueError: there is no such depth, or a size is not positive.
    """
    if depth not in REPEATS:
        raise ValueError(f"VGGs have {', '.join(map(str, REPEATS))} layers, got {depth}")
    if min(classes, in_channels) < 1:
        raise ValueError(f"VGG needs classes and in_channels, got {(classes, in_channels)}")
    return CifarVGG(depth, classes, in_channels)
