"""ShuffleNetV1: "An Extremely Efficient Convolutional Neural Network for Mobile Devices", 2018.

arXiv 1707.01083. Pointwise convolutions in groups, with a channel shuffle between them. Tensor
names are those of the authors' checkpoints (megvii-model/ShuffleNet-Series), which load strictly.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.shufflenet_v1_table import PUBLISHED, Block, Table, detect, table
from cnn_export.models.parts.channel_shuffle import channel_shuffle
from cnn_export.models.parts.conv_norm import conv_norm, initialize
from cnn_export.models.registry import register_model


class ShuffleUnit(nn.Module):
    """1×1 in groups, shuffle, 3×3 depthwise, 1×1 in groups; the input added or concatenated.

    The shuffle stands behind the depthwise convolution, where it does the same as before it.
    """

    def __init__(self, block: Block, groups: int) -> None:
        super().__init__()
        self.groups, self.stride, hidden = groups, block.stride, block.hidden
        self.branch_main_1 = nn.Sequential(
            *conv_norm(block.inputs, hidden, 1, groups=block.groups),
            nn.ReLU(),
            *conv_norm(hidden, hidden, 3, block.stride, groups=hidden),
        )
        self.branch_main_2 = nn.Sequential(*conv_norm(hidden, block.convolved, 1, groups=groups))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉).

        Averages at the border are over nine pixels, padded zeros included.
        """
        convolved = self.branch_main_1(maps)
        if self.groups > 1:
            convolved = channel_shuffle(convolved, self.groups)
        convolved = self.branch_main_2(convolved)
        if self.stride == 1:
            return functional.relu(maps + convolved)
        pooled = functional.avg_pool2d(maps, 3, stride=2, padding=1)
        return torch.cat((pooled, functional.relu(convolved)), 1)


class ShuffleNetV1(nn.Module):
    """The network of one :class:`~cnn_export.models.families.shufflenet_v1_table.Table`."""

    def __init__(self, table: Table, classes: int, in_channels: int) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(*conv_norm(in_channels, table.stem, 3, 2), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.features = nn.Sequential(*(ShuffleUnit(block, table.groups) for block in table.blocks))
        self.classifier = nn.Sequential(nn.Linear(table.features, classes, bias=False))
        self.apply(initialize)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_head(self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last feature maps (N, features, ⌈H/32⌉, ⌈W/32⌉)."""
        return self.features(self.maxpool(self.first_conv(image)))

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of feature maps (N, features, h, w)."""
        return self.classifier(functional.adaptive_avg_pool2d(features, 1).flatten(1))


@register_model(
    source="arXiv 1707.01083", detect=detect, published=PUBLISHED, authors_sides=(193, 224)
)
def shufflenet_v1(
    width: float = 1.0,
    groups: int = 3,
    stem_channels: int | None = None,
    classes: int = 1000,
    in_channels: int = 3,
) -> ShuffleNetV1:
    """ShuffleNetV1: 1.9 M parameters and 138 M multiply-accumulates at width 1 with 3 groups.

    Published are 1, 2, 3, 4 and 8 groups; ``stem_channels`` is the authors' for the width unless
    it is given.

    Raises:
        ValueError: an argument is not positive, or ``groups`` none of the paper's.
    """
    if classes < 1 or in_channels < 1:
        raise ValueError(
            f"ShuffleNetV1 needs classes and in_channels, got {classes} and {in_channels}"
        )
    return ShuffleNetV1(table(width, groups, stem_channels), classes, in_channels)
