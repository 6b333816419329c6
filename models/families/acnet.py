"""ACNet's networks: "ACNet: Strengthening the Kernel Skeletons …", ICCV 2019 (arXiv 1908.03930).

The networks of the authors' repository (DingXiaoH/ACNet), under their tensor names: ResNet-18 and
ResNet-34 for ImageNet, VGG and Cifar-quick for CIFAR, with asymmetric blocks (``trained``), with
one convolution per block (``deployed``), or with plain convolutions (``plain``, their baseline).
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.acnet_table import (
    QUICK_CHANNELS,
    QUICK_HIDDEN,
    QUICK_PUBLISHED,
    QUICK_SIDE,
    RESNET_BLOCKS,
    RESNET_PUBLISHED,
    VGG_HIDDEN,
    VGG_PUBLISHED,
    VGG_STAGES,
    detect_quick,
    detect_resnet,
    detect_vgg,
)
from cnn_export.models.parts.acb_block import ACBlock
from cnn_export.models.parts.blocks.staged_resnet import Conv, Stages, Unit, conv_norm, units
from cnn_export.models.parts.merge_forms import Form
from cnn_export.models.parts.widths import require_positive
from cnn_export.models.registry import register_model

_SOURCE = "arXiv 1908.03930"
_CIFAR = (3, 32, 32)


def _block(conv: Conv, deploy: bool) -> nn.Module:
    block = ACBlock(
        *(conv.inputs, conv.outputs, conv.kernel),
        stride=conv.stride,
        padding=conv.kernel // 2,
        groups=conv.groups,
        deploy=deploy,
    )
    return nn.Sequential(OrderedDict(acb=block, relu=nn.ReLU())) if conv.relu else block


unit = functools.partial(units, block=_block, owner="ACNet")
"""What stands in the place of a convolution, by the network's form."""


class ACNetResNet(Stages):
    """A 7×7 stem, a max pool and four stages.

    The average behind them is over the whole map. The authors' is over 7×7: the same for images of
    193 to 224 pixels; theirs leaves pixels out above, and takes nothing smaller.
    """

    def __init__(
        self, depth: int, form: Form, width: float, classes: int, in_channels: int
    ) -> None:
        super().__init__(unit(form), RESNET_BLOCKS[depth], width=width, classes=classes)
        self.conv1 = conv_norm(Conv(in_channels, int(64 * width), 7, 2))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        return self.forward_stages(functional.max_pool2d(self.conv1(image), 3, 2, 1))


class ACNetVGG(nn.Module):
    """Thirteen 3×3 units in five stages, then two fully connected layers.

    The last map of a 32×32 image is one pixel; larger images' are averaged.
    """

    def __init__(self, form: Form, classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(OrderedDict(_vgg_layers(unit(form), in_channels)))
        self.linear1 = nn.Linear(VGG_STAGES[-1][-1], VGG_HIDDEN)
        self.linear2 = nn.Linear(VGG_HIDDEN, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W), H, W ≥ 32."""
        maps = self.stem(image)
        if maps.shape[-2] > 1 or maps.shape[-1] > 1:
            maps = functional.adaptive_avg_pool2d(maps, 1)
        return self.linear2(functional.relu(self.linear1(maps.flatten(1))))


def _vgg_layers(unit: Unit, inputs: int) -> Iterator[tuple[str, nn.Module]]:
    index = 1
    for number, stage in enumerate(VGG_STAGES, start=1):
        for outputs in stage:
            yield f"conv{index}", unit(Conv(inputs, outputs, 3))
            inputs, index = outputs, index + 1
        yield f"maxpool{number}", nn.MaxPool2d(2)


class CifarQuick(nn.Module):
    """Three 5×5 units, each with a 3×3 pool of stride 2 behind it, and two layers on 3×3 pixels."""

    def __init__(self, form: Form, classes: int, in_channels: int) -> None:
        super().__init__()
        build, (first, second, third) = unit(form), QUICK_CHANNELS
        self.conv1 = build(Conv(in_channels, first, 5))
        self.conv2 = build(Conv(first, second, 5))
        self.conv3 = build(Conv(second, third, 5))
        self.fc1 = nn.Linear(third * QUICK_SIDE * QUICK_SIDE, QUICK_HIDDEN)
        self.fc2 = nn.Linear(QUICK_HIDDEN, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W).

        Raises:
            ValueError: the last map is not 3×3; it is for sides of 31 to 38 pixels.
        """
        maps = functional.max_pool2d(self.conv1(image), 3, 2)
        maps = functional.avg_pool2d(self.conv2(maps), 3, 2)
        maps = functional.avg_pool2d(self.conv3(maps), 3, 2)
        height, width = maps.shape[-2:]
        if height != QUICK_SIDE or width != QUICK_SIDE:
            size = f"{image.shape[-2]}x{image.shape[-1]}"
            raise ValueError(f"Cifar-quick needs images of 31x31 to 38x38, got {size}")
        return self.fc2(functional.relu(self.fc1(maps.flatten(1))))


@register_model(
    source=_SOURCE, detect=detect_resnet, published=RESNET_PUBLISHED, authors_sides=(193, 224)
)
def acnet_resnet(
    depth: int = 18,
    form: Form = "trained",
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
) -> ACNetResNet:
    """The authors' ResNet-18 or ResNet-34: 1.8 or 3.7 G multiply-accumulates when deployed.

    Raises:
        ValueError: there is no such depth or form, or a size is not positive.
    """
    if depth not in RESNET_BLOCKS:
        raise ValueError(f"ACNet's ResNets have 18 or 34 layers, got {depth}")
    require_positive("ACNet", classes, in_channels, int(64 * width))
    return ACNetResNet(depth, form, width, classes, in_channels)


@register_model(source=_SOURCE, detect=detect_vgg, input_size=_CIFAR, published=VGG_PUBLISHED)
def acnet_vgg(form: Form = "trained", classes: int = 10, in_channels: int = 3) -> ACNetVGG:
    """The authors' VGG for CIFAR.

    Raises:
        ValueError: there is no such form, or a size is not positive.
    """
    require_positive("ACNet", classes, in_channels)
    return ACNetVGG(form, classes, in_channels)


@register_model(source=_SOURCE, detect=detect_quick, input_size=_CIFAR, published=QUICK_PUBLISHED)
def acnet_cfqk(form: Form = "trained", classes: int = 10, in_channels: int = 3) -> CifarQuick:
    """The authors' Cifar-quick with batch norm.

    Raises:
        ValueError: there is no such form, or a size is not positive.
    """
    require_positive("ACNet", classes, in_channels)
    return CifarQuick(form, classes, in_channels)
