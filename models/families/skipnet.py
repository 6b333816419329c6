"""SkipNet-M: "Bias Loss for Mobile Neural Networks", ICCV 2021 (arXiv 2107.11170).

A MobileNetV3-like trunk in which two *skip blocks* carry the high-resolution maps of the first
inverted residual, average pooled, to the entrances of later stages. Tensor names are those of the
authors' released checkpoint, which therefore loads strictly. Activations hold no parameters and
are torch's own ``Hardswish`` and ``Hardsigmoid``, equal to the authors' hand-written ones and one
operator each after tracing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.skipnet_table import (
    PUBLISHED,
    Block,
    Table,
    detect,
    minimum_size,
    table,
)
from cnn_export.models.parts.conv_norm import conv_norm, initialize
from cnn_export.models.parts.squeeze_excite import SqueezeExcite
from cnn_export.models.registry import register_model

DROPOUT = 0.2


def pool_to(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Average ``maps`` (N, C, H, W) down to ``size`` (height, width).

    Where the sizes divide, this is a plain ``avg_pool2d``, which every exporter lowers; the
    adaptive pool, equal there, is left for sizes that need windows of several shapes.
    """
    height, width = maps.shape[-2:]
    if height % size[0] == 0 and width % size[1] == 0:
        return functional.avg_pool2d(maps, (height // size[0], width // size[1]))
    return functional.adaptive_avg_pool2d(maps, (size[0], size[1]))


class InvertedResidual(nn.Module):
    """1×1 expand, k×k depthwise, optional squeeze-excite, 1×1 project; residual where it fits.

    Unlike MobileNetV3, squeeze-excite stands behind the activation.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        spec, hidden = block.spec, block.hidden
        self.residual = spec.stride == 1 and block.inputs == block.outputs
        self.conv = nn.Sequential(
            *conv_norm(block.inputs, hidden, 1),
            _activation(spec.hard_swish),
            *conv_norm(hidden, hidden, spec.kernel, spec.stride, groups=hidden),
            _activation(spec.hard_swish),
            SqueezeExcite(hidden, block.squeezed) if spec.squeeze else nn.Identity(),
            *conv_norm(hidden, block.outputs, 1),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return maps + self.conv(maps) if self.residual else self.conv(maps)


class SkipBlock(nn.Module):
    """Average pool to the main path's size, then 1×1 expand, k×k depthwise, 1×1 project.

    The authors' code pools to 28 and 14, the main path's sizes for a 224 image; following the
    main path is the same there and right for every other input.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        hidden = block.hidden
        self.core_block = nn.Sequential(
            *conv_norm(block.inputs, hidden, 1),
            nn.ReLU(),
            *conv_norm(hidden, hidden, block.spec.kernel, groups=hidden),
            nn.ReLU(),
            *conv_norm(hidden, block.outputs, 1),
        )

    def forward(self, maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, *size)."""
        return self.core_block(pool_to(maps, size))


class SkipNet(nn.Module):
    """The network of one :class:`~cnn_export.models.families.skipnet_table.Table`.

    Attributes:
        minimum_size: smallest accepted height and width in pixels.
    """

    def __init__(self, table: Table, classes: int, in_channels: int) -> None:
        super().__init__()
        self.minimum_size = minimum_size()
        self.first_layer = _conv_norm_hard_swish(in_channels, table.stem, kernel=3, stride=2)
        self.base_block = InvertedResidual(table.base)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(InvertedResidual(block) for block in stage)) for stage in table.stages
        )
        self.skip1 = SkipBlock(table.skips[0])
        self.skip2 = SkipBlock(table.skips[1])
        trunk = table.stages[-1][-1].outputs
        self.conv = _conv_norm_hard_swish(trunk, table.features, kernel=1, stride=1)
        self.classifier = nn.Sequential(
            nn.Linear(table.features, table.head),
            nn.Hardswish(),
            nn.Dropout(DROPOUT),
            nn.Linear(table.head, classes),
        )
        self.apply(initialize)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W).

        Raises:
            ValueError: the image is smaller than :attr:`minimum_size`.
        """
        return self.forward_head(self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last feature maps (N, features, ⌈H/32⌉, ⌈W/32⌉).

        Raises:
            ValueError: the image is smaller than :attr:`minimum_size`.
        """
        height, width = image.shape[-2:]
        if height < self.minimum_size or width < self.minimum_size:
            least = f"{self.minimum_size}x{self.minimum_size}"
            raise ValueError(f"SkipNet needs images of at least {least}, got {height}x{width}")
        base = self.base_block(self.first_layer(image))
        maps = self.blocks[0](base)
        maps = self.blocks[1](maps + self.skip1(base, maps.shape[-2:]))
        maps = self.blocks[2](maps + self.skip2(base, maps.shape[-2:]))
        return self.conv(self.blocks[3](maps))

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of feature maps (N, features, h, w)."""
        return self.classifier(functional.adaptive_avg_pool2d(features, 1).flatten(1))


def _conv_norm_hard_swish(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(*conv_norm(inputs, outputs, kernel, stride), nn.Hardswish())


def _activation(hard_swish: bool) -> nn.Module:
    return nn.Hardswish() if hard_swish else nn.ReLU()


@register_model(source="arXiv 2107.11170", detect=detect, published=PUBLISHED)
def skipnet(width: float = 1.0, classes: int = 1000, in_channels: int = 3) -> SkipNet:
    """SkipNet-M: 5.53 M parameters and 237 M multiply-accumulates at width 1 on 224x224.

    Raises:
        ValueError: ``width``, ``classes`` or ``in_channels`` is not positive.
    """
    if classes < 1 or in_channels < 1:
        raise ValueError(f"SkipNet needs classes and in_channels, got {classes} and {in_channels}")
    return SkipNet(table(width), classes, in_channels)
