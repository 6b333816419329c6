"""ShuffleNetV1's channels, and recognising a checkpoint by them.

Pure data and integers: nothing here builds a module.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

STAGE_CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
"""Output channels of the first stage at width 1, per number of groups: table 1 of the paper."""

STAGE_BLOCKS = (4, 8, 4)
STEM_CHANNELS = 24
_STEMS = {(3, 0.5): 12, (8, 0.5): 16, (3, 2.0): 48, (8, 2.0): 48}
"""Where the authors' code has another stem, by groups and width."""

_DETECTED_WIDTHS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)


@dataclasses.dataclass(frozen=True)
class Block:
    """One unit, in channels; of stride 2, its input is pooled and concatenated.

    ``groups`` are those of the first convolution: the first unit's has one group, its input is
    too narrow to be cut.
    """

    inputs: int
    outputs: int
    stride: int
    groups: int

    @property
    def hidden(self) -> int:
        """Channels of the bottleneck."""
        return self.outputs // 4

    @property
    def convolved(self) -> int:
        """Channels that the convolutions give; the pooled input gives the rest."""
        return self.outputs - self.inputs if self.stride == 2 else self.outputs


@dataclasses.dataclass(frozen=True)
class Table:
    """Every channel count of one network."""

    stem: int
    groups: int
    blocks: tuple[Block, ...]

    @property
    def features(self) -> int:
        """Channels that reach the classifier."""
        return self.blocks[-1].outputs


def table(width: float, groups: int, stem: int | None = None) -> Table:
    """Return the channel counts; ``stem`` None is the authors' for this width.

    Raises:
        ValueError: the width is not positive, or the groups are none of the paper's or do not
            divide the channels.
    """
    if groups not in STAGE_CHANNELS or not width > 0:
        of = ", ".join(map(str, STAGE_CHANNELS))
        raise ValueError(f"ShuffleNetV1 has {of} groups and a width, got {groups} and {width}")
    inputs = stem = stem or _STEMS.get((groups, width), STEM_CHANNELS)
    outputs = round(STAGE_CHANNELS[groups] * width)
    blocks: list[Block] = []
    for repeats in STAGE_BLOCKS:
        for repeat in range(repeats):
            cut = groups if blocks else 1
            blocks.append(Block(inputs, outputs, 1 if repeat else 2, cut))
            inputs = outputs
        outputs *= 2
    if any(block.hidden % groups or block.convolved % groups for block in blocks):
        raise ValueError(f"{groups} groups do not divide ShuffleNetV1's channels at width {width}")
    return Table(stem, groups, tuple(blocks))


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``shufflenet_v1``'s arguments for these tensors, or None for another network's.

    The groups are the width of the second unit over what one of its kernels sees.
    """
    second = shapes.get("features.1.branch_main_1.0.weight", ())
    stem = shapes.get("first_conv.0.weight", ())
    logits = shapes.get("classifier.0.weight", ())
    if len(second) != 4 or len(stem) != 4 or len(logits) != 2 or not second[1]:
        return None
    outputs = 4 * second[0]
    groups = outputs // second[1]
    for width in _DETECTED_WIDTHS:
        if outputs == round(STAGE_CHANNELS.get(groups, 0) * width):
            found = {"width": width, "groups": groups, "stem_channels": stem[0]}
            return {**found, "classes": logits[0], "in_channels": stem[1]}
    return None


_README = "megvii-model/ShuffleNet-Series, ShuffleNetV1/README.md"


def _published(width: float, groups: int, figures: tuple[float, float, float]) -> Published:
    macs, params, error = figures
    name = f"ShuffleNetV1 {width}x (g = {groups})"
    arguments, top1 = {"width": width, "groups": groups}, round(100 - error, 1)
    return Published(name, arguments, _README, params, macs, top1)


_PAPER = "arXiv 1707.01083, tables 1 and 2"


def _of_the_paper(groups: int, macs: float, error: float) -> Published:
    name, top1 = f"ShuffleNetV1 1.0x (g = {groups})", round(100 - error, 1)
    note = "published in whole M: 134.3 as 133" if groups == 4 else ""
    arguments = {"width": 1.0, "groups": groups}
    return Published(name, arguments, _PAPER, None, macs, top1, note=note)


PUBLISHED = (
    _of_the_paper(1, 143, 33.6),
    _of_the_paper(2, 140, 32.7),
    _of_the_paper(4, 133, 32.8),
    _published(0.5, 3, (38, 0.7, 42.7)),
    _published(1.0, 3, (138, 1.9, 32.2)),
    _published(1.5, 3, (292, 3.4, 28.4)),
    _published(2.0, 3, (524, 5.4, 25.9)),
    _published(0.5, 8, (40, 1.0, 41.2)),
    _published(1.0, 8, (138, 2.4, 32.0)),
    _published(1.5, 8, (290, 4.3, 29.0)),
    _published(2.0, 8, (522, 6.5, 27.1)),
)
