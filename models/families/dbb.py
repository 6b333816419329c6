"""DBB's networks: "Diverse Branch Block", CVPR 2021 (arXiv 2103.13425).

The networks of the authors' repository (DingXiaoH/DiverseBranchBlock), under their tensor names:
ResNet-18, ResNet-50 and MobileNet with diverse branch blocks (``trained``), with one convolution
per block (``deployed``), or with plain convolutions (``plain``, their baseline).
"""

from __future__ import annotations

import functools
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.dbb_table import (
    MOBILENET_PUBLISHED,
    MOBILENET_STEM,
    RESNET_PUBLISHED,
    RESNETS,
    detect_mobilenet,
    detect_resnet,
)
from cnn_export.models.parts.blocks.dbb_block import DiverseBranchBlock
from cnn_export.models.parts.blocks.staged_resnet import Conv, Stages, Unit, units
from cnn_export.models.parts.merge_forms import Form
from cnn_export.models.parts.mobilenet_pairs import MOBILENET_PAIRS
from cnn_export.models.parts.widths import require_positive
from cnn_export.models.registry import register_model

_SOURCE = "arXiv 2103.13425"


def _block(conv: Conv, deploy: bool) -> nn.Module:
    return DiverseBranchBlock(
        *(conv.inputs, conv.outputs, conv.kernel),
        stride=conv.stride,
        groups=conv.groups,
        relu=conv.relu,
        deploy=deploy,
    )


unit = functools.partial(units, block=_block, owner="DBB", folded=True)
"""What stands in the place of a convolution, by the network's form."""


class DBBResNet(Stages):
    """A 7×7 stem and a max pool in ``stage0``, then four stages."""

    def __init__(
        self, depth: int, form: Form, width: float, classes: int, in_channels: int
    ) -> None:
        build, (blocks, bottleneck) = unit(form), RESNETS[depth]
        super().__init__(build, blocks, bottleneck=bottleneck, width=width, classes=classes)
        stem = build(Conv(in_channels, int(64 * width), 7, 2))
        self.stage0 = nn.Sequential(OrderedDict(conv1=stem, maxpool=nn.MaxPool2d(3, 2, 1)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_stages(self.stage0(image))


class DepthwisePair(nn.Module):
    """A 3×3 depthwise unit, then a 1×1 one."""

    def __init__(self, build: Unit, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = build(Conv(inputs, inputs, 3, stride, groups=inputs))
        self.pointwise = build(Conv(inputs, outputs, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return self.pointwise(self.depthwise(maps))


class DBBMobileNet(nn.Module):
    """A strided 3×3 unit, thirteen depthwise-pointwise pairs, the mean, one layer."""

    def __init__(self, form: Form, classes: int, in_channels: int) -> None:
        super().__init__()
        build, inputs = unit(form), MOBILENET_STEM
        self.conv1 = build(Conv(in_channels, inputs, 3, 2))
        pairs: list[nn.Module] = []
        for outputs, stride in MOBILENET_PAIRS:
            pairs.append(DepthwisePair(build, inputs, outputs, stride))
            inputs = outputs
        self.stem = nn.Sequential(*pairs)
        self.linear = nn.Linear(inputs, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        maps = self.stem(self.conv1(image))
        return self.linear(functional.adaptive_avg_pool2d(maps, 1).flatten(1))


@register_model(
    source=_SOURCE,
    detect=detect_resnet,
    published=RESNET_PUBLISHED,
    also_called={f"ResNet-{depth}": {"depth": depth} for depth in RESNETS},
)
def dbb_resnet(
    depth: int = 18,
    form: Form = "trained",
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
) -> DBBResNet:
    """The authors' ResNet-18 or ResNet-50: 1.8 or 4.1 G multiply-accumulates when deployed.

    Raises:
        ValueError: there is no such depth or form, or a size is not positive.
    """
    if depth not in RESNETS:
        raise ValueError(f"DBB's ResNets have 18 or 50 layers, got {depth}")
    require_positive("DBB", classes, in_channels, int(64 * width))
    return DBBResNet(depth, form, width, classes, in_channels)


@register_model(
    source=_SOURCE,
    detect=detect_mobilenet,
    published=MOBILENET_PUBLISHED,
    also_called={"MobileNet": {}},
)
def dbb_mobilenet(
    form: Form = "trained", classes: int = 1000, in_channels: int = 3
) -> DBBMobileNet:
    """The authors' MobileNet (V1): 569 M multiply-accumulates when deployed.

    Raises:
        ValueError: there is no such form, or a size is not positive.
    """
    require_positive("DBB", classes, in_channels)
    return DBBMobileNet(form, classes, in_channels)
