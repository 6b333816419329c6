"""ShuffleNetV2.Large and ShuffleNetV2.ExLarge of megvii-model/ShuffleNet-Series.

ShuffleNetV2 (arXiv 1807.11164) with shortcuts, gates and grouped convolutions. Tensor names are
those of the authors' checkpoints, which hold the heads that only training has.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.families.shufflenet_v2_large_table import (
    EXLARGE,
    EXLARGE_GROUPS,
    EXLARGE_SQUEEZE,
    EXLARGE_STEM,
    HEAD_CLASSES,
    HEAD_NAMES,
    LARGE,
    LARGE_FEATURES,
    LARGE_GROUPS,
    LARGE_STEM,
    PUBLISHED_EXLARGE,
    PUBLISHED_LARGE,
    Stage,
    detect_exlarge,
    detect_large,
)
from cnn_export.models.parts.blocks.residual_blocks import convolution
from cnn_export.models.parts.channel_shuffle import channel_shuffle
from cnn_export.models.parts.widths import require_positive
from cnn_export.models.registry import register_model

_LARGE_EPSILON = 1e-9
DROPOUT = 0.2


def _unit(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    *,
    relu: bool = True,
    epsilon: float = 1e-5,
) -> nn.Sequential:
    layers = OrderedDict[str, nn.Module](
        conv=convolution(inputs, outputs, kernel, stride, groups),
        bn=nn.BatchNorm2d(outputs, epsilon),
    )
    return nn.Sequential(layers | {"relu": nn.ReLU()} if relu else layers)


class _Gated(nn.Module):
    """What both blocks share: a main branch with a gate, under both names that the files have."""

    def __init__(self, branch: Sequence[nn.Module], first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.branch_main = nn.Sequential(*branch)
        self.se_fc1, self.se_fc2 = first, second
        self.se_block = nn.Sequential(first, nn.ReLU(), second, nn.Sigmoid())

    def gated(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) through the branch, and scale each channel."""
        maps = self.branch_main(maps)
        means = functional.adaptive_avg_pool2d(maps, 1).flatten(1)
        return maps * self.se_block(means)[:, :, None, None]


class LargeBlock(_Gated):
    """Half of the channels passes, the other is convolved and added; a 1×1 where it strides."""

    def __init__(self, inputs: int, outputs: int, stride: int, projects: bool) -> None:
        unit = functools.partial(_unit, epsilon=_LARGE_EPSILON)
        half_in, half = inputs // 2, outputs // 2
        branch = (
            unit(half_in, half, 1),
            unit(half, half, 3, stride, LARGE_GROUPS),
            unit(half, half, 1, relu=False),
        )
        super().__init__(branch, nn.Linear(half, half), nn.Linear(half, half))
        self.down = unit(outputs, outputs, 1) if stride == 2 else nn.Identity()
        self.proj = unit(half_in, half, 3, stride, relu=False) if projects else None

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        passing, convolved = channel_shuffle(maps, 2).chunk(2, 1)
        added = self.gated(convolved)
        if self.proj is None:
            added = convolved + added
        else:
            passing = self.proj(passing)
        return self.down(functional.relu(torch.cat((passing, added), 1)))


class ExLargeBlock(_Gated):
    """As :class:`LargeBlock`; the first of a stage convolves all channels on both ways."""

    def __init__(self, inputs: int, outputs: int, stride: int, projects: bool) -> None:
        entering, half = inputs if projects else inputs // 2, outputs // 2
        branch = (
            _unit(entering, outputs, 1),
            _unit(outputs, outputs, 3, stride, EXLARGE_GROUPS),
            _unit(outputs, outputs, 3, groups=outputs, relu=False),
            _unit(outputs, half, 1, relu=False),
        )
        squeezed = half // EXLARGE_SQUEEZE
        super().__init__(branch, _named_linear(half, squeezed), _named_linear(squeezed, half))
        self.proj = _unit(entering, outputs - half, 3, stride) if projects else None

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        if self.proj is not None:
            return torch.cat((self.proj(maps), self.gated(maps)), 1)
        passing, convolved = channel_shuffle(maps, 2).chunk(2, 1)
        return torch.cat((passing, functional.relu(convolved + self.gated(convolved))), 1)


def _named_linear(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(fc=nn.Linear(inputs, outputs)))


class TrainingHead(nn.Module):
    """A classifier behind an early stage: held for the file's sake, and never run here."""

    def __init__(self, inputs: int, inner: int, epsilon: float) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _unit(inputs, inner, 1, epsilon=epsilon), _unit(inner, inner, 3, epsilon=epsilon)
        )
        self.fc = nn.Linear(inner, HEAD_CLASSES)


class LargeShuffleNetV2(nn.Module):
    """Three convolutions, a max pool, four stages, the mean, one layer."""

    def __init__(self, exlarge: bool, classes: int, in_channels: int) -> None:
        super().__init__()
        stages, stem = (EXLARGE, EXLARGE_STEM) if exlarge else (LARGE, LARGE_STEM)
        epsilon = 1e-5 if exlarge else _LARGE_EPSILON
        pairs = zip((in_channels, *stem), stem, (2, 1, 1), strict=False)
        self.first_conv = nn.Sequential(*(_unit(a, b, 3, s, epsilon=epsilon) for a, b, s in pairs))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.features = nn.ModuleList()
        inputs = stem[-1]
        for number, stage in enumerate(stages):
            named = (_exlarge_stage if exlarge else _large_stage)(inputs, stage, number)
            self.features.append(nn.Sequential(OrderedDict(named)))
            inputs = stage.outputs
            if stage.head:
                self.add_module(HEAD_NAMES[number], TrainingHead(inputs, stage.head, epsilon))
        self.conv_last = nn.Identity()
        self.dropout = nn.Dropout(DROPOUT)
        if exlarge:
            self.fc = _named_linear(inputs, classes)
        else:
            self.conv_last = _unit(inputs, LARGE_FEATURES, 3, epsilon=epsilon)
            self.fc = nn.Linear(LARGE_FEATURES, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of normalized images (N, in_channels, H, W)."""
        maps = self.maxpool(self.first_conv(image))
        for stage in self.features:
            maps = stage(maps)
        means = functional.adaptive_avg_pool2d(self.conv_last(maps), 1).flatten(1)
        return self.fc(self.dropout(means))


def _large_stage(inputs: int, stage: Stage, number: int) -> Iterator[tuple[str, nn.Module]]:
    for block in range(stage.blocks):
        stride = 1 if block else stage.stride
        built = LargeBlock(inputs, stage.outputs, stride, projects=block == 0)
        yield f"{number + 2}{chr(ord('a') + block)}", built
        inputs = stage.outputs


def _exlarge_stage(inputs: int, stage: Stage, _: int) -> Iterator[tuple[str, nn.Module]]:
    for block in range(stage.blocks):
        stride = 1 if block else stage.stride
        yield str(block), ExLargeBlock(inputs, stage.outputs, stride, projects=block == 0)
        inputs = stage.outputs
    yield str(stage.blocks), _unit(inputs, inputs, 1)


@register_model(
    source="megvii-model/ShuffleNet-Series",
    detect=detect_large,
    published=PUBLISHED_LARGE,
    authors_sides=(193, 224),
)
def shufflenet_v2_large(classes: int = 1000, in_channels: int = 3) -> LargeShuffleNetV2:
    """ShuffleNetV2.Large: 12.7 G multiply-accumulates.

    Raises:
        ValueError: a size is not positive.
    """
    require_positive("ShuffleNetV2.Large", classes, in_channels)
    return LargeShuffleNetV2(False, classes, in_channels)


@register_model(
    source="megvii-model/ShuffleNet-Series",
    detect=detect_exlarge,
    published=PUBLISHED_EXLARGE,
    authors_sides=(193, 224),
)
def shufflenet_v2_exlarge(classes: int = 1000, in_channels: int = 3) -> LargeShuffleNetV2:
    """ShuffleNetV2.ExLarge: 46.2 G multiply-accumulates.

    Raises:
        ValueError: a size is not positive.
    """
    require_positive("ShuffleNetV2.ExLarge", classes, in_channels)
    return LargeShuffleNetV2(True, classes, in_channels)
