"""MobileNeXt's table of blocks, the width arithmetic on it, and recognising a checkpoint by it.

Pure data and integers: nothing here builds a module.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterator
from typing import Any

from cnn_export.models.parts.widths import make_divisible
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
_LEAST_REDUCTION = 6
"""A block's bottleneck holds at least a sixth of its output channels."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the published table: reduction, output channels, repeats, stride of the first."""

    reduction: int
    channels: int
    repeats: int
    stride: int


ROWS = (
    Row(2, 96, 1, 2),
    Row(6, 144, 1, 1),
    Row(6, 192, 3, 2),
    Row(6, 288, 3, 2),
    Row(6, 384, 4, 1),
    Row(6, 576, 4, 2),
    Row(6, 960, 3, 1),
    Row(6, HEAD_CHANNELS, 1, 1),
)

_ROUNDED = "the README rounds; the authors' own code has the counts measured here"
_SOURCE = "arXiv 2007.02269; README of yitu-opensource/MobileNeXt"


def _published(
    width: float, params: float, macs: float, top1: float, note: str = _ROUNDED
) -> Published:
    arguments = {"width": width, "identity_tensor_multiplier": 1}
    return Published(
        f"MobileNeXt-{width:.2f}",
        arguments,
        _SOURCE,
        params_m=params,
        macs_m=macs,
        top1_percent=top1,
        note=note,
    )


PUBLISHED = (
    _published(1.4, 6.1, 590, 76.1, note=""),
    _published(1.0, 3.5, 300, 74.02),
    _published(0.75, 2.5, 210, 72.0),
    _published(0.5, 2.1, 110, 67.7),
    _published(0.35, 1.8, 80, 64.7),
)


class Form(enum.Enum):
    """Where a block has depthwise convolutions around its two pointwise ones."""

    SANDGLASS = enum.auto()
    """Depthwise, pointwise, pointwise, depthwise; the last one carries the stride."""
    POINTWISE = enum.auto()
    """Pointwise, pointwise."""
    STRIDED = enum.auto()
    """Pointwise, pointwise, depthwise of stride 2."""


@dataclasses.dataclass(frozen=True)
class Block:
    """One block at one width, in channels. ``shortcut``: the input is added to the result."""

    form: Form
    inputs: int
    hidden: int
    outputs: int
    stride: int
    shortcut: bool


@dataclasses.dataclass(frozen=True)
class Table:
    """Every channel count of one network."""

    stem: int
    blocks: tuple[Block, ...]

    @property
    def features(self) -> int:
        """Channels that reach the classifier."""
        return self.blocks[-1].outputs


def table(width: float) -> Table:
    """Return the channel counts at a width multiplier.

    Raises:
        ValueError: ``width`` is not positive.
    """
    if not width > 0:
        raise ValueError(f"the width multiplier must be positive, got {width}")
    divisor = 4 if width == 0.1 else 8  # the authors' one finer-grained width
    stem = make_divisible(STEM_CHANNELS * width, divisor)
    blocks: list[Block] = []
    inputs = stem
    for row in ROWS:
        outputs = make_divisible(row.channels * width, divisor)
        if row.channels == HEAD_CHANNELS and width < 1:
            outputs = HEAD_CHANNELS
        for repeat in range(row.repeats):
            blocks.append(_block(row, inputs, outputs, first=repeat == 0))
            inputs = outputs
    return Table(stem, tuple(blocks))


def _block(row: Row, inputs: int, outputs: int, *, first: bool) -> Block:
    stride = row.stride if first else 1
    alone = row.repeats == 1 and row.stride == 1  # keeps its depthwise pair, has no shortcut
    hidden = inputs // row.reduction
    if hidden < outputs / _LEAST_REDUCTION:
        hidden = make_divisible(-(-outputs // _LEAST_REDUCTION), 16)
    if row.reduction == 2:
        return Block(Form.SANDGLASS, inputs, hidden, outputs, stride, shortcut=False)
    if inputs == outputs or alone:
        return Block(Form.SANDGLASS, inputs, hidden, outputs, 1, shortcut=not alone)
    form = Form.POINTWISE if stride == 1 else Form.STRIDED
    return Block(form, inputs, hidden, outputs, stride, shortcut=False)


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``mobilenext``'s arguments for these tensors, or None for another network's.

    The identity tensor multiplier leaves no trace. Widths are searched from 0.05 to 2.0 in steps
    of 0.005, round ones first, then one is computed from the channel counts; widths of equal
    counts are one network.
    """
    stem = shapes.get("features.0.0.weight", ())
    logits = shapes.get("classifier.1.weight", ())
    if len(stem) != 4 or len(logits) != 2 or "features.1.conv.0.weight" not in shapes:
        return None
    in_channels, classes = stem[1], logits[0]
    for width in (*_DETECTED_WIDTHS, *_computed_width(shapes)):
        expected = _weight_shapes(table(width), classes, in_channels)
        if all(shapes.get(name) == shape for name, shape in expected):
            return {"width": width, "classes": classes, "in_channels": in_channels}
    return None


_STEPS = sorted(range(10, 401), key=lambda step: (step % 50 != 0, step % 10 != 0, step))
_DETECTED_WIDTHS = tuple(step / 200 for step in _STEPS)


_ROUNDED_UP_BELOW = 48
"""Only smaller channel counts may come from a width whose nearest multiple lost over 10 %."""


def _computed_width(shapes: Shapes) -> Iterator[float]:
    """Yield a width that rounds to the blocks' output channels, if there is one."""
    low, high = 0.0, math.inf
    for index, block in enumerate(table(1.0).blocks[:-1], start=1):  # the last is bounded below
        _, expand = _pointwise_positions(block)
        outputs = (shapes.get(f"features.{index}.conv.{expand}.weight") or (0,))[0]
        if outputs >= _ROUNDED_UP_BELOW:
            low = max(low, (outputs - 4) / block.outputs)
            high = min(high, (outputs + 4) / block.outputs)
    if 0 < low < high:
        yield (low + high) / 2


def _pointwise_positions(block: Block) -> tuple[int, int]:
    """Return where the reducing and the expanding convolution stand in ``conv``."""
    return (3, 5) if block.form is Form.SANDGLASS else (0, 2)


def _weight_shapes(
    table: Table, classes: int, in_channels: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "features.0.0.weight", (table.stem, in_channels, 3, 3)
    yield "classifier.1.weight", (classes, table.features)
    for index, block in enumerate(table.blocks, start=1):
        reduce, expand = _pointwise_positions(block)
        yield f"features.{index}.conv.{reduce}.weight", (block.hidden, block.inputs, 1, 1)
        yield f"features.{index}.conv.{expand}.weight", (block.outputs, block.hidden, 1, 1)
