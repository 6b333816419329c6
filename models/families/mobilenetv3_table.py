"""MobileNetV3's tables of blocks in d-li14's reading, width arithmetic, and recognition.

Pure data and integers: nothing here builds a module.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from cnn_export.models.parts.widths import make_divisible
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

STEM_CHANNELS = 16
SQUEEZE_REDUCTION = 4


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table; ``expansion`` multiplies the block's input channels."""

    kernel: int
    expansion: float
    channels: int
    squeeze: bool
    hard_swish: bool
    stride: int


@dataclasses.dataclass(frozen=True)
class Variant:
    """The rows of one network, and the width of its classifier's hidden layer."""

    rows: tuple[Row, ...]
    head: int


LARGE = Variant(
    (
        Row(3, 1, 16, False, False, 1),
        Row(3, 4, 24, False, False, 2),
        Row(3, 3, 24, False, False, 1),
        Row(5, 3, 40, True, False, 2),
        Row(5, 3, 40, True, False, 1),
        Row(5, 3, 40, True, False, 1),
        Row(3, 6, 80, False, True, 2),
        Row(3, 2.5, 80, False, True, 1),
        Row(3, 2.3, 80, False, True, 1),
        Row(3, 2.3, 80, False, True, 1),
        Row(3, 6, 112, True, True, 1),
        Row(3, 6, 112, True, True, 1),
        Row(5, 6, 160, True, True, 2),
        Row(5, 6, 160, True, True, 1),
        Row(5, 6, 160, True, True, 1),
    ),
    head=1280,
)
SMALL = Variant(
    (
        Row(3, 1, 16, True, False, 2),
        Row(3, 4.5, 24, False, False, 2),
        Row(3, 3.67, 24, False, False, 1),
        Row(5, 4, 40, True, True, 2),
        Row(5, 6, 40, True, True, 1),
        Row(5, 6, 40, True, True, 1),
        Row(5, 3, 48, True, True, 1),
        Row(5, 3, 48, True, True, 1),
        Row(5, 6, 96, True, True, 2),
        Row(5, 6, 96, True, True, 1),
        Row(5, 6, 96, True, True, 1),
    ),
    head=1024,
)


@dataclasses.dataclass(frozen=True)
class Block:
    """A row at one width, in channels."""

    row: Row
    inputs: int
    hidden: int
    outputs: int

    @property
    def expands(self) -> bool:
        """Whether a pointwise convolution stands before the depthwise one."""
        return self.inputs != self.hidden

    @property
    def squeezed(self) -> int:
        """Hidden channels of the squeeze-excite gate."""
        return make_divisible(self.hidden // SQUEEZE_REDUCTION)


@dataclasses.dataclass(frozen=True)
class Table:
    """Every channel count of one network."""

    stem: int
    blocks: tuple[Block, ...]
    head: int

    @property
    def features(self) -> int:
        """Channels that reach the classifier."""
        return self.blocks[-1].hidden


def table(variant: Variant, width: float) -> Table:
    """Return the channel counts at a width multiplier; the head never shrinks.

    Raises:
        ValueError: ``width`` is not positive.
    """
    if not width > 0:
        raise ValueError(f"the width multiplier must be positive, got {width}")
    inputs = stem = make_divisible(STEM_CHANNELS * width)
    blocks: list[Block] = []
    for row in variant.rows:
        outputs = make_divisible(row.channels * width)
        blocks.append(Block(row, inputs, make_divisible(inputs * row.expansion), outputs))
        inputs = outputs
    head = make_divisible(variant.head * width) if width > 1 else variant.head
    return Table(stem, tuple(blocks), head)


def detector(variant: Variant) -> Callable[[Shapes], dict[str, Any] | None]:
    """Return the detector of one variant.

    Widths are searched from 0.05 to 2.0 in steps of 0.005, round ones first; widths that round to
    equal channel counts are one network.
    """

    def detect(shapes: Shapes) -> dict[str, Any] | None:
        stem = shapes.get("features.0.0.weight", ())
        logits = shapes.get("classifier.3.weight", ())
        if len(stem) != 4 or len(logits) != 2 or "conv.0.weight" not in shapes:
            return None
        for width in _DETECTED_WIDTHS:
            if make_divisible(STEM_CHANNELS * width) != stem[0]:
                continue
            if all(shapes.get(n) == s for n, s in _weight_shapes(table(variant, width))):
                return {"width": width, "classes": logits[0], "in_channels": stem[1]}
        return None

    return detect


_STEPS = sorted(range(10, 401), key=lambda step: (step % 50 != 0, step % 10 != 0, step))
_DETECTED_WIDTHS = tuple(step / 200 for step in _STEPS)


def _weight_shapes(table: Table) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "conv.0.weight", (table.features, table.blocks[-1].outputs, 1, 1)
    yield "classifier.0.weight", (table.head, table.features)
    for index, block in enumerate(table.blocks, start=1):
        path, hidden, kernel = f"features.{index}.conv", block.hidden, block.row.kernel
        depthwise, project = (3, 7) if block.expands else (0, 4)
        yield f"{path}.{depthwise}.weight", (hidden, 1, kernel, kernel)
        yield f"{path}.{project}.weight", (block.outputs, hidden, 1, 1)


_README = "d-li14/mobilenetv3.pytorch, README.md"
PUBLISHED_LARGE = (
    Published("MobileNetV3-Large 1.0", {"width": 1.0}, _README, 5.483, 216.60, 74.280),
    Published("MobileNetV3-Large 0.75", {"width": 0.75}, _README, 3.994, 154.57, 72.842),
)
PUBLISHED_SMALL = (
    Published("MobileNetV3-Small 1.0", {"width": 1.0}, _README, 2.543, 56.52, 67.214),
    Published("MobileNetV3-Small 0.75", {"width": 0.75}, _README, 2.042, 43.40, 64.876),
)
