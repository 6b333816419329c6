"""SkipNet's table of blocks, the width arithmetic on it, and recognising a checkpoint by it.

Pure data and integers: nothing here builds a module.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from cnn_export.models.parts.widths import make_divisible
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

STEM_CHANNELS = 16
HEAD_CHANNELS = 1280
SQUEEZE_REDUCTION = 4


@dataclasses.dataclass(frozen=True)
class BlockSpec:
    """One row of the table; ``expansion`` multiplies the block's input channels."""

    expansion: float
    channels: int
    kernel: int
    stride: int
    squeeze: bool = False
    hard_swish: bool = False


BASE = BlockSpec(1, STEM_CHANNELS, kernel=3, stride=1, hard_swish=True)
STAGES: tuple[tuple[BlockSpec, ...], ...] = (
    (
        BlockSpec(4, 24, kernel=3, stride=2),
        BlockSpec(3, 24, kernel=3, stride=1),
        BlockSpec(3, 40, kernel=5, stride=2, squeeze=True),
        BlockSpec(3, 40, kernel=5, stride=1, squeeze=True),
        BlockSpec(6, 40, kernel=5, stride=1, squeeze=True, hard_swish=True),
    ),
    (
        BlockSpec(6, 80, kernel=3, stride=2, hard_swish=True),
        BlockSpec(2.5, 80, kernel=3, stride=1, hard_swish=True),
        BlockSpec(2.3, 80, kernel=3, stride=1, hard_swish=True),
        BlockSpec(2.3, 80, kernel=3, stride=1, hard_swish=True),
    ),
    (
        BlockSpec(6, 112, kernel=3, stride=1, squeeze=True, hard_swish=True),
        BlockSpec(6, 112, kernel=3, stride=1, squeeze=True, hard_swish=True),
    ),
    (
        BlockSpec(6, 160, kernel=5, stride=2, squeeze=True, hard_swish=True),
        BlockSpec(6, 160, kernel=5, stride=1, squeeze=True, hard_swish=True),
        BlockSpec(6, 160, kernel=5, stride=1, squeeze=True, hard_swish=True),
    ),
)
SKIPS = (BlockSpec(6, 40, kernel=5, stride=1), BlockSpec(2.3, 80, kernel=3, stride=1))
"""Skip block ``i`` runs from the base block to the entrance of stage ``i + 1``."""

PUBLISHED = (
    Published(
        "SkipNet-M",
        {},
        "arXiv 2107.11170; figures in lusinlu/bias-loss-skipblocknet",
        params_m=5.5,
        macs_m=246,
        top1_percent=76.2,
        note="multiply-accumulates are read off a plot, whose points lie some percent too high",
    ),
)


@dataclasses.dataclass(frozen=True)
class Block:
    """A row of the table at one width: its spec with input, hidden and output channels."""

    spec: BlockSpec
    inputs: int
    hidden: int
    outputs: int

    @property
    def squeezed(self) -> int:
        """Hidden channels of the squeeze-excite gate."""
        return make_divisible(self.hidden // SQUEEZE_REDUCTION)


@dataclasses.dataclass(frozen=True)
class Table:
    """Every channel count of one network."""

    stem: int
    base: Block
    stages: tuple[tuple[Block, ...], ...]
    skips: tuple[Block, ...]
    features: int
    head: int


def table(width: float) -> Table:
    """Return the channel counts at a width multiplier.

    The classifier's hidden layer grows with the network but never shrinks, as in MobileNetV3.

    Raises:
        ValueError: ``width`` is not positive.
    """
    if not width > 0:
        raise ValueError(f"the width multiplier must be positive, got {width}")
    stem = make_divisible(STEM_CHANNELS * width)
    stages = _stages(stem, width)
    return Table(
        stem=stem,
        base=Block(BASE, stem, stem, stem),
        stages=stages,
        skips=tuple(_block(spec, stem, width) for spec in SKIPS),
        features=stages[-1][-1].hidden,
        head=make_divisible(HEAD_CHANNELS * width) if width > 1 else HEAD_CHANNELS,
    )


def _stages(inputs: int, width: float) -> tuple[tuple[Block, ...], ...]:
    stages: list[tuple[Block, ...]] = []
    for specs in STAGES:
        blocks: list[Block] = []
        for spec in specs:
            blocks.append(_block(spec, inputs, width))
            inputs = blocks[-1].outputs
        stages.append(tuple(blocks))
    return tuple(stages)


def _block(spec: BlockSpec, inputs: int, width: float) -> Block:
    hidden = make_divisible(inputs * spec.expansion)
    return Block(spec, inputs, hidden, make_divisible(spec.channels * width))


def minimum_size() -> int:
    """Return the smallest height or width, in pixels, that every strided layer still reduces.

    Each layer of stride 2 halves upwards; below this the last one strides over a single pixel.
    """
    stride = 2  # the stem's
    for specs in STAGES:
        for spec in specs:
            stride *= spec.stride
    return stride // 2 + 1


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``skipnet``'s arguments for these tensors, or None when they are another network's.

    Widths are searched from 0.05 to 2.0 in steps of 0.005, round ones first. Widths that round
    to equal channel counts are one network, so the first that fits is right.
    """
    stem = shapes.get("first_layer.0.weight", ())
    logits = shapes.get("classifier.3.weight", ())
    if len(stem) != 4 or len(logits) != 2:
        return None
    in_channels, classes = stem[1], logits[0]
    for width in _DETECTED_WIDTHS:
        expected = _weight_shapes(table(width), classes, in_channels)
        if all(shapes.get(name) == shape for name, shape in expected):
            return {"width": width, "classes": classes, "in_channels": in_channels}
    return None


_STEPS = sorted(range(10, 401), key=lambda step: (step % 50 != 0, step % 10 != 0, step))
_DETECTED_WIDTHS = tuple(step / 200 for step in _STEPS)


def _weight_shapes(
    table: Table, classes: int, in_channels: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "first_layer.0.weight", (table.stem, in_channels, 3, 3)
    yield "conv.0.weight", (table.features, table.stages[-1][-1].outputs, 1, 1)
    yield "classifier.0.weight", (table.head, table.features)
    yield "classifier.3.weight", (classes, table.head)
    yield from _block_shapes("base_block.conv", table.base, project=7)
    for i, skip in enumerate(table.skips, start=1):
        yield from _block_shapes(f"skip{i}.core_block", skip, project=6)
    for i, stage in enumerate(table.stages):
        for j, block in enumerate(stage):
            yield from _block_shapes(f"blocks.{i}.{j}.conv", block, project=7)


def _block_shapes(
    prefix: str, block: Block, *, project: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    kernel = block.spec.kernel
    yield f"{prefix}.0.weight", (block.hidden, block.inputs, 1, 1)
    yield f"{prefix}.3.weight", (block.hidden, 1, kernel, kernel)
    yield f"{prefix}.{project}.weight", (block.outputs, block.hidden, 1, 1)
    if block.spec.squeeze:
        yield f"{prefix}.6.fc.0.weight", (block.squeezed, block.hidden)
