"""ShuffleNetV2 (ECCV 2018, arXiv 1807.11164) and the authors' V2+ with SE and hard-swish.

Half of the channels pass a unit, the other half is convolved. Tensor names are those of the
authors' checkpoints (megvii-model/ShuffleNet-Series), which load strictly; torchvision's network
shuffles behind its units instead of before them, under other names.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.shufflenet_v2_table import (
    PUBLISHED,
    PUBLISHED_PLUS,
    Kind,
    Table,
    Unit,
    detect,
    detect_plus,
    plus_table,
    table,
)
from cnn_export.models.parts.channel_shuffle import channel_shuffle
from cnn_export.models.parts.conv_norm import conv_norm, initialize
from cnn_export.models.registry import register_model

DROPOUT = 0.2
SQUEEZE_REDUCTION = 4


class SqueezeExcite(nn.Module):
    """SE without biases, a batch norm inside: ``x · hardsigmoid(W₂ relu(norm(W₁ mean(x))))``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = channels // SQUEEZE_REDUCTION
        self.SE_opr = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            *conv_norm(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1, bias=False),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return ``maps`` (N, C, H, W) scaled per sample and channel."""
        return maps * functional.hardsigmoid(self.SE_opr(maps))


class ShuffleUnit(nn.Module):
    """Split by a shuffle, convolve one half, concatenate; of stride 2, convolve both ways."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.stride = unit.stride
        self.branch_main = nn.Sequential(*_main_branch(unit))
        if unit.stride == 2:
            kernel, passing = unit.kind.value, unit.inputs
            self.branch_proj = nn.Sequential(
                *conv_norm(passing, passing, kernel, 2, groups=passing),
                *conv_norm(passing, passing, 1),
                _activation(unit),
            )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, H, W); of stride 2, halved for every strided layer."""
        if self.stride == 2:
            return torch.cat((self.branch_proj(maps), self.branch_main(maps)), 1)
        passing, convolved = channel_shuffle(maps, 2).chunk(2, 1)
        return torch.cat((passing, self.branch_main(convolved)), 1)


def _main_branch(unit: Unit) -> list[nn.Module]:
    entering, hidden, outputs = unit.entering, unit.hidden, unit.outputs - unit.entering
    layers: list[nn.Module] = []
    if unit.kind is Kind.XCEPTION:
        for inputs, given in ((entering, hidden), (hidden, hidden), (hidden, outputs)):
            layers += conv_norm(inputs, inputs, 3, groups=inputs)
            layers += [*conv_norm(inputs, given, 1), _activation(unit)]
    else:
        layers += [*conv_norm(entering, hidden, 1), _activation(unit)]
        layers += conv_norm(hidden, hidden, unit.kind.value, unit.stride, groups=hidden)
        layers += [*conv_norm(hidden, outputs, 1), _activation(unit)]
    return [*layers, SqueezeExcite(outputs)] if unit.squeeze else layers


def _activation(unit: Unit) -> nn.Module:
    return nn.Hardswish() if unit.hard_swish else nn.ReLU()


class ShuffleNetV2(nn.Module):
    """The network of one :class:`~cnn_export.models.families.shufflenet_v2_table.Table`."""

    def __init__(self, table: Table, classes: int, in_channels: int) -> None:
        super().__init__()
        head, trunk = table.head, table.units[-1].outputs
        activation = nn.Hardswish if table.plus else nn.ReLU
        self.first_conv = nn.Sequential(*conv_norm(in_channels, table.stem, 3, 2), activation())
        self.maxpool = nn.Identity() if table.plus else nn.MaxPool2d(3, stride=2, padding=1)
        self.features = nn.Sequential(*(ShuffleUnit(unit) for unit in table.units))
        self.conv_last = nn.Sequential(*conv_norm(trunk, head, 1), activation())
        self.LastSE = SqueezeExcite(head) if table.plus else nn.Identity()
        hidden = (nn.Linear(head, head, bias=False), nn.Hardswish()) if table.plus else ()
        self.fc = nn.Sequential(*hidden)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Sequential(nn.Linear(head, classes, bias=False))
        self.apply(initialize)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_head(self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last feature maps (N, head, ⌈H/32⌉, ⌈W/32⌉)."""
        return self.conv_last(self.features(self.maxpool(self.first_conv(image))))

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of feature maps (N, head, h, w)."""
        means = self.LastSE(functional.adaptive_avg_pool2d(features, 1)).flatten(1)
        return self.classifier(self.dropout(self.fc(means)))


@register_model(
    source="arXiv 1807.11164", detect=detect, published=PUBLISHED, authors_sides=(193, 224)
)
def shufflenet_v2(width: float = 1.0, classes: int = 1000, in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNetV2: 2.3 M parameters and 146 M multiply-accumulates at width 1.

    Raises:
        ValueError: ``width`` is none of 0.5, 1, 1.5 and 2, or another argument not positive.
    """
    return _built(table(width), classes, in_channels)


@register_model(
    source="megvii-model/ShuffleNet-Series",
    detect=detect_plus,
    published=PUBLISHED_PLUS,
    authors_sides=(193, 224),
)
def shufflenet_v2_plus(
    size: str = "small", classes: int = 1000, in_channels: int = 3
) -> ShuffleNetV2:
    """ShuffleNetV2+: 5.1 M parameters and 156 M multiply-accumulates in its small size.

    Raises:
        ValueError: ``size`` is none of small, medium and large, or another argument not positive.
    """
    return _built(plus_table(size), classes, in_channels)


def _built(table: Table, classes: int, in_channels: int) -> ShuffleNetV2:
    if classes < 1 or in_channels < 1:
        raise ValueError(
            f"ShuffleNetV2 needs classes and in_channels, got {classes} and {in_channels}"
        )
    return ShuffleNetV2(table, classes, in_channels)
