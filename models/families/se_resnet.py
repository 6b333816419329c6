"""ResNets with squeeze-excite in every block (arXiv 1709.01507), as in moskomule/senet.pytorch.

Torchvision's ResNet with a gate without biases behind each block's last batch norm; a 3×3 stem and
three narrow stages for images of 32x32. Tensor names are that repository's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.se_resnet_table import EXPANSION, PUBLISHED, SMALL_INPUT, detect
from cnn_export.models.parts.conv_norm import conv_norm
from cnn_export.models.registry import register_model

WIDTHS = (64, 128, 256, 512)
CIFAR_WIDTHS = (16, 32, 64)


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from all channels' means, without biases."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.channels = channels
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(channels // reduction, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return ``maps`` (N, C, H, W) scaled per sample and channel."""
        gates = self.fc(functional.adaptive_avg_pool2d(maps, 1).flatten(1))
        return maps * gates.reshape(-1, self.channels, 1, 1)


class SEBlock(nn.Module):
    """Two 3×3 convolutions, or 1×1, 3×3, 1×1; gate, shortcut, ReLU. The 3×3 has the stride."""

    def __init__(
        self, inputs: int, width: int, stride: int, *, bottleneck: bool, reduction: int
    ) -> None:
        super().__init__()
        outputs = width * EXPANSION if bottleneck else width
        first = (1, 1) if bottleneck else (3, stride)
        self.conv1, self.bn1 = conv_norm(inputs, width, *first)
        self.conv2, self.bn2 = conv_norm(width, width, 3, stride if bottleneck else 1)
        self.bottleneck = bottleneck
        if bottleneck:
            self.conv3, self.bn3 = conv_norm(width, outputs, 1, 1)
        self.se = SqueezeExcite(outputs, reduction)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(*conv_norm(inputs, outputs, 1, stride))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        branch = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(maps)))))
        if self.bottleneck:
            branch = self.bn3(self.conv3(functional.relu(branch)))
        shortcut = maps if self.downsample is None else self.downsample(maps)
        return functional.relu(self.se(branch) + shortcut)


class SEResNet(nn.Module):
    """Stem, stages ``layer1`` to ``layer4`` (``layer3`` for small images), classifier ``fc``."""

    def __init__(
        self,
        blocks: Sequence[int],
        *,
        bottleneck: bool,
        small_images: bool,
        reduction: int,
        classes: int,
        in_channels: int,
    ) -> None:
        super().__init__()
        widths = CIFAR_WIDTHS if small_images else WIDTHS
        inputs = widths[0]
        self.small_images, self.stages = small_images, len(widths)
        self.conv1, self.bn1 = conv_norm(in_channels, inputs, *((3, 1) if small_images else (7, 2)))
        for i, (depth, width) in enumerate(zip(blocks, widths, strict=True)):
            stage: list[nn.Module] = []
            for stride in (2 if i else 1, *[1] * (depth - 1)):
                stage.append(
                    SEBlock(inputs, width, stride, bottleneck=bottleneck, reduction=reduction)
                )
                inputs = width * EXPANSION if bottleneck else width
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_head(self.forward_features(image))

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last feature maps, a thirty-second of the image's size, or a fourth."""
        maps = functional.relu(self.bn1(self.conv1(image)))
        if not self.small_images:
            maps = functional.max_pool2d(maps, 3, stride=2, padding=1)
        for stage in range(1, self.stages + 1):
            maps = self.get_submodule(f"layer{stage}")(maps)
        return maps

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of feature maps (N, features, h, w)."""
        return self.fc(functional.adaptive_avg_pool2d(features, 1).flatten(1))


@register_model(
    source="arXiv 1709.01507",
    detect=detect,
    published=PUBLISHED,
    small_input=("small_images", SMALL_INPUT),
)
def se_resnet(
    blocks: Sequence[int] = (3, 4, 6, 3),
    bottleneck: bool = True,
    small_images: bool = False,
    reduction: int = 16,
    classes: int = 1000,
    in_channels: int = 3,
) -> SEResNet:
    """SE-ResNet-50 and, by ``blocks`` and ``bottleneck``, the others.

    Raises:
        ValueError: another number of stages, or a number that is not positive.
    """
    stages = len(CIFAR_WIDTHS if small_images else WIDTHS)
    if len(blocks) != stages or min(*blocks, reduction, classes, in_channels) < 1:
        raise ValueError(f"se_resnet needs {stages} stages and positive numbers, got {blocks}")
    return SEResNet(
        blocks,
        bottleneck=bottleneck,
        small_images=small_images,
        reduction=reduction,
        classes=classes,
        in_channels=in_channels,
    )
