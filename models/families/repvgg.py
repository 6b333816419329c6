"""RepVGG: "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021 (arXiv 2101.03697).

A plain stack of 3×3 convolutions, trained as the sum of a 3×3, a 1×1 and, where sizes allow, an
identity branch, each with a batch norm. Tensor names are the authors', trained and deployed.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.repvgg_table import (
    PUBLISHED,
    SQUEEZE_REDUCTION,
    VARIANTS,
    Variant,
    detect,
)
from cnn_export.models.registry import register_model


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from all channels' means (arXiv 1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, channels // SQUEEZE_REDUCTION, 1)
        self.up = nn.Conv2d(channels // SQUEEZE_REDUCTION, channels, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return ``maps`` (N, C, H, W) scaled per sample and channel."""
        gates = functional.relu(self.down(functional.adaptive_avg_pool2d(maps, 1)))
        return maps * torch.sigmoid(self.up(gates))


class RepVGGBlock(nn.Module):
    """ReLU(SE(3×3 + 1×1 + identity)); deployed, one 3×3 convolution in place of the sum."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, groups: int, *, squeeze: bool, deploy: bool
    ) -> None:
        super().__init__()
        self.se = SqueezeExcite(outputs) if squeeze else nn.Identity()
        self.deploy = deploy
        if deploy:
            self.rbr_reparam = nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups)
            return
        identity = inputs == outputs and stride == 1
        self.rbr_identity = nn.BatchNorm2d(inputs) if identity else None
        self.rbr_dense = _conv_norm(inputs, outputs, 3, stride, groups)
        self.rbr_1x1 = _conv_norm(inputs, outputs, 1, stride, groups)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return functional.relu(self.se(self.rbr_reparam(maps) if self.deploy else self._sum(maps)))

    def _sum(self, maps: torch.Tensor) -> torch.Tensor:
        branches = self.rbr_dense(maps) + self.rbr_1x1(maps)
        return branches if self.rbr_identity is None else branches + self.rbr_identity(maps)


class RepVGG(nn.Module):
    """The network of one :class:`~cnn_export.models.families.repvgg_table.Variant`."""

    def __init__(self, variant: Variant, classes: int, in_channels: int, deploy: bool) -> None:
        super().__init__()
        kind = {"squeeze": variant.squeeze, "deploy": deploy}
        self.stage0 = RepVGGBlock(in_channels, variant.stem, 2, 1, **kind)
        inputs, place = variant.stem, 0
        for i, (depth, width) in enumerate(zip(variant.depths, variant.widths, strict=True)):
            blocks: list[nn.Module] = []
            for stride in (2, *[1] * (depth - 1)):
                place += 1
                groups = variant.groups_at(place)
                blocks.append(RepVGGBlock(inputs, width, stride, groups, **kind))
                inputs = width
            setattr(self, f"stage{i + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(inputs, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_head(self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last feature maps (N, features, ⌈H/32⌉, ⌈W/32⌉)."""
        maps = self.stage0(image)
        for stage in (1, 2, 3, 4):
            maps = self.get_submodule(f"stage{stage}")(maps)
        return maps

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of feature maps (N, features, h, w)."""
        return self.linear(functional.adaptive_avg_pool2d(features, 1).flatten(1))


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> nn.Sequential:
    layers = nn.Sequential()
    padding = kernel // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    layers.add_module("conv", conv)
    layers.add_module("bn", nn.BatchNorm2d(outputs))
    return layers


@register_model(
    source="arXiv 2101.03697",
    detect=detect,
    published=PUBLISHED,
    also_called={f"RepVGG-{variant}": {"variant": variant} for variant in VARIANTS},
)
def repvgg(
    variant: str = "A0", classes: int = 1000, in_channels: int = 3, deploy: bool = False
) -> RepVGG:
    """RepVGG A0 to B3, their grouped forms, and D2se, in training form or deployed.

    Raises:
        ValueError: no such variant, or ``classes`` or ``in_channels`` is not positive.
    """
    if variant not in VARIANTS:
        raise ValueError(f"RepVGG has no variant {variant!r}; it has {', '.join(VARIANTS)}")
    if classes < 1 or in_channels < 1:
        raise ValueError(f"RepVGG needs classes and in_channels, got {classes} and {in_channels}")
    return RepVGG(VARIANTS[variant], classes, in_channels, deploy)
