"""Tables and detectors of the MobileNets of kuangliu/pytorch-cifar, ``models/``: strides for 32×32.

Beside the papers' tables, the stem does not stride, and in MobileNetV2 neither does the row of 24.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from cnn_export.models.parts.mobilenet_pairs import MOBILENET_PAIRS
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

STEM = 32
INPUT = (3, 32, 32)


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of MobileNetV2's table: t, c, n, s (arXiv 1801.04381, Table 2)."""

    expansion: int
    channels: int
    repeats: int
    stride: int


V2_ROWS = (
    Row(1, 16, 1, 1),
    Row(6, 24, 2, 1),
    Row(6, 32, 3, 2),
    Row(6, 64, 4, 2),
    Row(6, 96, 3, 1),
    Row(6, 160, 3, 2),
    Row(6, 320, 1, 1),
)
V2_FEATURES = 1280
V2_PUBLISHED = (
    Published(
        "cifar_mobilenet_v2",
        {},
        "kuangliu/pytorch-cifar README.md",
        top1_percent=94.43,
        input_size=INPUT,
    ),
)


@dataclasses.dataclass(frozen=True)
class Block:
    """An inverted residual; the shortcut is a convolution where channels change."""

    inputs: int
    hidden: int
    outputs: int
    stride: int


def v2_blocks() -> Iterator[Block]:
    """Yield MobileNetV2's blocks in order."""
    inputs = STEM
    for row in V2_ROWS:
        for repeat in range(row.repeats):
            stride = row.stride if repeat == 0 else 1
            yield Block(inputs, inputs * row.expansion, row.channels, stride)
            inputs = row.channels


def detect_v1(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``cifar_mobilenet``'s arguments for these tensors, or None for another network's."""
    pairs = shapes.get("layers.0.conv1.weight") == (STEM, 1, 3, 3)
    if not pairs or f"layers.{len(MOBILENET_PAIRS) - 1}.conv2.weight" not in shapes:
        return None
    return None if "layers.0.conv3.weight" in shapes else _sizes(shapes)


def detect_v2(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``cifar_mobilenet_v2``'s arguments for these tensors, or None for another's."""
    last = sum(row.repeats for row in V2_ROWS) - 1
    if "conv2.weight" not in shapes or f"layers.{last}.conv3.weight" not in shapes:
        return None
    return _sizes(shapes)


def _sizes(shapes: Shapes) -> dict[str, Any] | None:
    stem, logits = shapes.get("conv1.weight", ()), shapes.get("linear.weight", ())
    if len(stem) != 4 or len(logits) != 2 or stem[0] != STEM:
        return None
    return {"classes": logits[0], "in_channels": stem[1]}
