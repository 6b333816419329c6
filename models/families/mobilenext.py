"""MobileNeXt: "Rethinking Bottleneck Structure for Efficient Mobile Network Design", ECCV 2020.

arXiv 2007.02269. Sandglass blocks put the shortcut between wide ends, the bottleneck in between,
and depthwise convolutions on the wide maps. Tensor names are those of the authors' released
checkpoints, which therefore load strictly; their ``i2rnetv3`` and ``mnext`` are this one network.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.mobilenext_table import (
    PUBLISHED,
    Block,
    Form,
    Table,
    detect,
    table,
)
from cnn_export.models.identity_tensor_multiplier import (
    ARGUMENT,
    Multiplier,
    kept_channels,
    parse_multiplier,
)
from cnn_export.models.parts.conv_norm import conv_norm, initialize
from cnn_export.models.registry import register_model

DROPOUT = 0.2


class SandGlass(nn.Module):
    """One block of the table; where it has a shortcut, its first ``α·C`` channels are added.

    The addition is the authors' in-place slice assignment, for α = 1 too: what exporters are
    given by their networks is what they are given by this one.
    """

    def __init__(self, block: Block, multiplier: Fraction) -> None:
        super().__init__()
        self.added_channels = kept_channels(block.inputs, multiplier) if block.shortcut else 0
        self.conv = nn.Sequential(*_layers(block))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        result = self.conv(maps)
        if self.added_channels:
            added = maps[:, : self.added_channels]
            result[:, : self.added_channels] = result[:, : self.added_channels] + added
        return result


class MobileNeXt(nn.Module):
    """The network of one :class:`~cnn_export.models.families.mobilenext_table.Table`.

    Attributes:
        identity_tensor_multiplier: α, the share of channels that shortcuts add.
    """

    def __init__(self, table: Table, classes: int, in_channels: int, multiplier: Fraction) -> None:
        super().__init__()
        self.identity_tensor_multiplier = multiplier
        stem = nn.Sequential(*conv_norm(in_channels, table.stem, 3, stride=2), nn.ReLU6())
        blocks = (SandGlass(block, multiplier) for block in table.blocks)
        self.features = nn.Sequential(stem, *blocks)
        self.classifier = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(table.features, classes))
        self.apply(initialize)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_head(self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last feature maps (N, features, ⌈H/32⌉, ⌈W/32⌉)."""
        return self.features(image)

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of feature maps (N, features, h, w)."""
        return self.classifier(functional.adaptive_avg_pool2d(features, 1).flatten(1))


def _layers(block: Block) -> list[nn.Module]:
    wide, narrow, outputs = block.inputs, block.hidden, block.outputs
    layers: list[nn.Module] = []
    if block.form is Form.SANDGLASS:
        layers += [*conv_norm(wide, wide, 3, groups=wide), nn.ReLU6()]
    layers += [*conv_norm(wide, narrow, 1), *conv_norm(narrow, outputs, 1), nn.ReLU6()]
    if block.form is not Form.POINTWISE:
        layers += conv_norm(outputs, outputs, 3, stride=block.stride, groups=outputs)
    return layers


@register_model(
    source="arXiv 2007.02269", detect=detect, unrecorded=(ARGUMENT,), published=PUBLISHED
)
def mobilenext(
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
    identity_tensor_multiplier: Multiplier = 1,
) -> MobileNeXt:
    """MobileNeXt: 3.53 M parameters and 311 M multiply-accumulates at width 1 on 224x224.

    Published widths are 0.35, 0.5, 0.75, 1 and 1.4; published ``identity_tensor_multiplier`` are
    1, 1/2, 1/3 and 1/6, as number, :class:`~fractions.Fraction` or text.

    Raises:
        ValueError: ``width``, ``classes`` or ``in_channels`` is not positive, or
            ``identity_tensor_multiplier`` not 1 divided by a whole number.
    """
    if classes < 1 or in_channels < 1:
        raise ValueError(
            f"MobileNeXt needs classes and in_channels, got {classes} and {in_channels}"
        )
    multiplier = parse_multiplier(identity_tensor_multiplier)
    return MobileNeXt(table(width), classes, in_channels, multiplier)
