"""Mobile-Former: "Bridging MobileNet and Transformer", CVPR 2022 (arXiv 2108.05895).

A MobileNet on pixels and a transformer on six tokens, which attend to one another in every block.
The authors published no code; tensor names and arithmetic are those of the widely used unofficial
one, Katherine121/Pytorch-implementation-of-Mobile-Former, in whose files the layers of the
paper's dynamic ReLU lie unused. It cuts the tokens out of the image, so images are 208 pixels or
more.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.mobile_former_table import (
    CROP_START,
    EMBEDDING,
    MINIMUM_SIZE,
    PUBLISHED,
    TOKENS,
    Table,
    detect,
    table,
)
from cnn_export.models.parts.blocks.mobile_former_block import MobileFormerBlock
from cnn_export.models.parts.conv_norm import initialize
from cnn_export.models.registry import register_model


class MobileFormer(nn.Module):
    """The network of one :class:`~cnn_export.models.families.mobile_former_table.Table`."""

    def __init__(self, table: Table, classes: int, in_channels: int) -> None:
        super().__init__()
        stem, last = table.stem, table.blocks[-1]
        self.token_conv = nn.Conv2d(in_channels, TOKENS, 1, bias=False)
        self.token_linear = nn.Linear(EMBEDDING, 1)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(stem),
            nn.Hardswish(),
        )
        self.bneck = nn.Sequential(
            nn.Conv2d(stem, 2 * stem, 3, padding=1, groups=stem),
            nn.Hardswish(),
            nn.Conv2d(2 * stem, stem, 1),
            nn.BatchNorm2d(stem),
        )
        self.block = nn.ModuleList(
            MobileFormerBlock(block.inputs, block.hidden, block.outputs, block.stride)
            for block in table.blocks
        )
        self.conv = nn.Conv2d(last.outputs, last.hidden, 1, bias=False)
        self.bn = nn.BatchNorm2d(last.hidden)
        self.head = nn.Sequential(
            nn.Linear(last.hidden + EMBEDDING, table.head),
            nn.Hardswish(),
            nn.Linear(table.head, classes),
        )
        self.apply(initialize)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W).

        Raises:
            ValueError: the image is smaller than 208 pixels.
        """
        return self.forward_head(*self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last maps (N, hidden, ⌈H/32⌉, ⌈W/32⌉) and the tokens (N, 6, 192).

        Raises:
            ValueError: the image is smaller than 208 pixels.
        """
        height, width = image.shape[-2:]
        if height < MINIMUM_SIZE or width < MINIMUM_SIZE:
            least = f"{MINIMUM_SIZE}x{MINIMUM_SIZE}"
            raise ValueError(
                f"Mobile-Former needs images of at least {least}, got {height}x{width}"
            )
        cut = slice(CROP_START, CROP_START + EMBEDDING)
        tokens = self.token_linear(self.token_conv(image)[:, :, cut, cut]).squeeze(-1)
        maps = self.bneck(self.stem(image))
        for block in self.block:
            maps, tokens = block(maps, tokens)
        return self.bn(self.conv(maps)), tokens

    def forward_head(self, features: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of the maps' means and the first token."""
        means = functional.adaptive_avg_pool2d(features, 1).flatten(1)
        return self.head(torch.cat((means, tokens[:, 0]), -1))


@register_model(source="arXiv 2108.05895", detect=detect, published=PUBLISHED)
def mobile_former(size: int = 294, classes: int = 1000, in_channels: int = 3) -> MobileFormer:
    """Mobile-Former of 151, 294 or 508 M multiply-accumulates, as the paper counts them.

    Raises:
        ValueError: ``size`` is none of these, or another argument not positive.
    """
    if classes < 1 or in_channels < 1:
        raise ValueError(
            f"Mobile-Former needs classes and in_channels, got {classes} and {in_channels}"
        )
    return MobileFormer(table(size), classes, in_channels)
