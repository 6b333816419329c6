"""Residual networks for CIFAR, as kuangliu/pytorch-cifar trains them, under its tensor names.

ResNet (arXiv 1512.03385), PreActResNet (1603.05027), SENet (1709.01507) and ResNeXt (1611.05431).
The mean behind the last stage is over the whole map. Theirs is over 4×4 pixels (ResNeXt's over
8×8): the same for images of 25 to 32 pixels; theirs takes nothing smaller, and above leaves pixels
out or has no function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.cifar_resnet_table import (
    DEPTHS,
    INPUT,
    PREACT_PUBLISHED,
    RESNET_PUBLISHED,
    RESNEXT_BLOCKS,
    RESNEXT_EXPANSION,
    RESNEXT_PUBLISHED,
    SENET_BLOCKS,
    SQUEEZE,
    STEM,
    detect_preact_resnet,
    detect_resnet,
    detect_resnext,
    detect_senet,
)
from cnn_export.models.parts.blocks.drop_path import decayed
from cnn_export.models.parts.blocks.residual_blocks import (
    PostActivation,
    PreActivation,
    convolution,
)
from cnn_export.models.registry import register_model

Block = Callable[[int, int, int, int], nn.Module]
"""Builds a block from input channels, inner channels, output channels and stride."""


class CifarResNet(nn.Module):
    """A stem without stride, stages that halve the map from the second on, the mean, one layer."""

    def __init__(
        self,
        stages: Iterable[Sequence[nn.Module]],
        outputs: int,
        classes: int,
        in_channels: int,
        *,
        stem_kernel: int = 3,
        stem_norm: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, STEM, stem_kernel)
        if stem_norm:
            self.bn1 = nn.BatchNorm2d(STEM)
        self.stages = 0
        for stage in stages:
            self.stages += 1
            setattr(self, f"layer{self.stages}", nn.Sequential(*stage))
        self.linear = nn.Linear(outputs, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        maps = self.conv1(image)
        if hasattr(self, "bn1"):
            maps = functional.relu(self.bn1(maps))
        for i in range(1, self.stages + 1):
            maps = getattr(self, f"layer{i}")(maps)
        return self.linear(functional.adaptive_avg_pool2d(maps, 1).flatten(1))


def _stages(
    build: Block, blocks: Sequence[int], width: int, expansion: int
) -> list[list[nn.Module]]:
    """Return the stages' blocks; the inner width doubles from stage to stage."""
    inputs, stages = STEM, list[list[nn.Module]]()
    for i, count in enumerate(blocks):
        inner, stage = width * 2**i, list[nn.Module]()
        for j in range(count):
            stride = 2 if i > 0 and j == 0 else 1
            stage.append(build(inputs, inner, inner * expansion, stride))
            inputs = inner * expansion
        stages.append(stage)
    return stages


_REPOSITORY = "kuangliu/pytorch-cifar"


@register_model(
    source=f"arXiv 1512.03385; {_REPOSITORY}",
    detect=detect_resnet,
    input_size=INPUT,
    published=RESNET_PUBLISHED,
    also_called={f"ResNet{depth}": {"depth": depth} for depth in DEPTHS},
    authors_sides=(25, 32),
)
def cifar_resnet(
    depth: int = 18, classes: int = 10, in_channels: int = 3, drop_path: float = 0.0
) -> CifarResNet:
    """ResNet of 18, 34, 50, 101 or 152 layers for 32×32 pixels.

    ``drop_path`` trains it with stochastic depth: the probability that the last block is left out.

    Raises:
        ValueError: there is no such depth, a size is not positive, or no probability.
    """
    _require(depth, classes, in_channels)
    row = DEPTHS[depth]
    expansion = 4 if row.bottleneck else 1
    rates = iter(decayed(drop_path, sum(row.blocks)))

    def build(inputs: int, inner: int, outputs: int, stride: int) -> nn.Module:
        shape = (inputs, inner, outputs, stride)
        return PostActivation(*shape, bottleneck=row.bottleneck, drop_rate=next(rates))

    stages = _stages(build, row.blocks, STEM, expansion)
    return CifarResNet(stages, STEM * 8 * expansion, classes, in_channels)


@register_model(
    source=f"arXiv 1603.05027; {_REPOSITORY}",
    detect=detect_preact_resnet,
    input_size=INPUT,
    published=PREACT_PUBLISHED,
    also_called={f"PreActResNet{depth}": {"depth": depth} for depth in DEPTHS},
    authors_sides=(25, 32),
)
def cifar_preact_resnet(depth: int = 18, classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """Pre-activation ResNet of 18, 34, 50, 101 or 152 layers for 32×32 pixels.

    As in the repository, nothing stands between the last sum and the mean.

    Raises:
        ValueError: there is no such depth, or a size is not positive.
    """
    _require(depth, classes, in_channels)
    row = DEPTHS[depth]
    expansion = 4 if row.bottleneck else 1

    def build(inputs: int, inner: int, outputs: int, stride: int) -> nn.Module:
        return PreActivation(inputs, inner, outputs, stride, bottleneck=row.bottleneck)

    stages = _stages(build, row.blocks, STEM, expansion)
    return CifarResNet(stages, STEM * 8 * expansion, classes, in_channels, stem_norm=False)


@register_model(
    source=f"arXiv 1709.01507; {_REPOSITORY}",
    detect=detect_senet,
    input_size=INPUT,
    also_called={"SENet18": {}},
    authors_sides=(25, 32),
)
def cifar_senet(classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """SENet-18: pre-activation blocks with squeeze and excitation, for 32×32 pixels.

    Raises:
        ValueError: a size is not positive.
    """
    _require(18, classes, in_channels)

    def build(inputs: int, inner: int, outputs: int, stride: int) -> nn.Module:
        return PreActivation(inputs, inner, outputs, stride, bottleneck=False, reduction=SQUEEZE)

    return CifarResNet(_stages(build, SENET_BLOCKS, STEM, 1), STEM * 8, classes, in_channels)


@register_model(
    source=f"arXiv 1611.05431; {_REPOSITORY}",
    detect=detect_resnext,
    input_size=INPUT,
    published=RESNEXT_PUBLISHED,
    also_called={
        f"ResNeXt29_{groups}x{width}d": {"cardinality": groups, "group_width": width}
        for groups, width in ((2, 64), (4, 64), (8, 64), (32, 4))
    },
    authors_sides=(25, 32),
)
def cifar_resnext(
    cardinality: int = 2, group_width: int = 64, classes: int = 10, in_channels: int = 3
) -> CifarResNet:
    """ResNeXt-29 of ``cardinality`` groups, each ``group_width`` wide at first, for 32×32 pixels.

    Raises:
        ValueError: a size is not positive.
    """
    _require(18, classes, in_channels, cardinality, group_width)

    def build(inputs: int, inner: int, outputs: int, stride: int) -> nn.Module:
        return PostActivation(inputs, inner, outputs, stride, bottleneck=True, groups=cardinality)

    width = cardinality * group_width
    stages = _stages(build, RESNEXT_BLOCKS, width, RESNEXT_EXPANSION)
    outputs = width * 4 * RESNEXT_EXPANSION
    return CifarResNet(stages, outputs, classes, in_channels, stem_kernel=1)


def _require(depth: int, *sizes: int) -> None:
    if depth not in DEPTHS:
        raise ValueError(f"CIFAR's ResNets have {', '.join(map(str, DEPTHS))} layers, got {depth}")
    if min(sizes) < 1:
        raise ValueError(f"CIFAR's ResNets need classes, in_channels and widths, got {sizes}")
