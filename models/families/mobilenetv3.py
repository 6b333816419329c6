"""MobileNetV3 (ICCV 2019, arXiv 1905.02244) as d-li14's widely used checkpoints have it.

Tensor names are theirs (d-li14/mobilenetv3.pytorch), which load strictly. It is no other spelling
of torchvision's network: where a block expands, squeeze-excite stands before the activation
instead of behind it, and batch norm's ε is 1e-5 instead of 1e-3.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.mobilenetv3_table import (
    LARGE,
    PUBLISHED_LARGE,
    PUBLISHED_SMALL,
    SMALL,
    Block,
    Table,
    Variant,
    detector,
    table,
)
from cnn_export.models.parts.conv_norm import conv_norm, initialize
from cnn_export.models.parts.squeeze_excite import SqueezeExcite
from cnn_export.models.registry import register_model

DROPOUT = 0.2


class InvertedResidual(nn.Module):
    """1×1 expand where the block widens, k×k depthwise, 1×1 project; residual where it fits."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.residual = block.row.stride == 1 and block.inputs == block.outputs
        self.conv = nn.Sequential(*_layers(block))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return maps + self.conv(maps) if self.residual else self.conv(maps)


def _layers(block: Block) -> list[nn.Module]:
    row, hidden = block.row, block.hidden
    depthwise = conv_norm(hidden, hidden, row.kernel, row.stride, groups=hidden)
    squeeze = SqueezeExcite(hidden, block.squeezed) if row.squeeze else nn.Identity()
    project = conv_norm(hidden, block.outputs, 1)
    if not block.expands:
        return [*depthwise, _activation(block), squeeze, *project]
    expand = conv_norm(block.inputs, hidden, 1)
    return [*expand, _activation(block), *depthwise, squeeze, _activation(block), *project]


def _activation(block: Block) -> nn.Module:
    return nn.Hardswish() if block.row.hard_swish else nn.ReLU()


class MobileNetV3(nn.Module):
    """The network of one :class:`~cnn_export.models.families.mobilenetv3_table.Table`."""

    def __init__(self, table: Table, classes: int, in_channels: int) -> None:
        super().__init__()
        stem = nn.Sequential(*conv_norm(in_channels, table.stem, 3, 2), nn.Hardswish())
        blocks = (InvertedResidual(block) for block in table.blocks)
        self.features = nn.Sequential(stem, *blocks)
        trunk = table.blocks[-1].outputs
        self.conv = nn.Sequential(*conv_norm(trunk, table.features, 1), nn.Hardswish())
        self.classifier = nn.Sequential(
            nn.Linear(table.features, table.head),
            nn.Hardswish(),
            nn.Dropout(DROPOUT),
            nn.Linear(table.head, classes),
        )
        self.apply(initialize)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_head(self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last feature maps (N, features, ⌈H/32⌉, ⌈W/32⌉)."""
        return self.conv(self.features(image))

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of feature maps (N, features, h, w)."""
        return self.classifier(functional.adaptive_avg_pool2d(features, 1).flatten(1))


@register_model(source="arXiv 1905.02244", detect=detector(LARGE), published=PUBLISHED_LARGE)
def mobilenetv3_large(width: float = 1.0, classes: int = 1000, in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Large: 5.48 M parameters and 217 M multiply-accumulates at width 1.

    Raises:
        ValueError: ``width``, ``classes`` or ``in_channels`` is not positive.
    """
    return _built(LARGE, width, classes, in_channels)


@register_model(source="arXiv 1905.02244", detect=detector(SMALL), published=PUBLISHED_SMALL)
def mobilenetv3_small(width: float = 1.0, classes: int = 1000, in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Small: 2.54 M parameters and 57 M multiply-accumulates at width 1.

    Raises:
        ValueError: ``width``, ``classes`` or ``in_channels`` is not positive.
    """
    return _built(SMALL, width, classes, in_channels)


def _built(variant: Variant, width: float, classes: int, in_channels: int) -> MobileNetV3:
    if classes < 1 or in_channels < 1:
        raise ValueError(
            f"MobileNetV3 needs classes and in_channels, got {classes} and {in_channels}"
        )
    return MobileNetV3(table(variant, width), classes, in_channels)
