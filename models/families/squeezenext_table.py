"""SqueezeNext's units, and recognising a checkpoint by them.

Pure data and integers: nothing here builds a module.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

STAGE_UNITS = {"23": (6, 6, 8, 1), "23v5": (2, 4, 14, 1)}
"""Units per stage: the paper's first and fifth distribution of 21 units."""

STAGE_CHANNELS = (32, 64, 128, 256)
STEM_CHANNELS = 64
HEAD_CHANNELS = 128
_DETECTED_WIDTHS = (1.0, 1.5, 2.0)


@dataclasses.dataclass(frozen=True)
class Unit:
    """One unit, in channels; its input is convolved to fit where it is strided or narrows."""

    inputs: int
    outputs: int
    stride: int

    @property
    def converts(self) -> bool:
        """Whether the shortcut is a convolution."""
        return self.stride == 2 or self.inputs > self.outputs

    @property
    def hidden(self) -> int:
        """Channels behind the first reduction; the second one halves them."""
        if self.stride == 2:
            return self.inputs
        return self.inputs // (4 if self.inputs > self.outputs else 2)


@dataclasses.dataclass(frozen=True)
class Table:
    """Every channel count of one network."""

    stem: int
    stages: tuple[tuple[Unit, ...], ...]
    head: int


def table(version: str, width: float) -> Table:
    """Return the channel counts.

    Raises:
        ValueError: there is no such version, or ``width`` leaves a layer without channels.
    """
    if version not in STAGE_UNITS or int(STAGE_CHANNELS[0] * width) < 4:
        versions = ", ".join(STAGE_UNITS)
        raise ValueError(f"SqueezeNext has versions {versions} and a width, got {version}, {width}")
    inputs = int(STEM_CHANNELS * width)
    stages: list[tuple[Unit, ...]] = []
    for count, channels in zip(STAGE_UNITS[version], STAGE_CHANNELS, strict=True):
        stage: list[Unit] = []
        for position in range(count):
            outputs, strided = int(channels * width), stages and not position
            stage.append(Unit(inputs, outputs, 2 if strided else 1))
            inputs = outputs
        stages.append(tuple(stage))
    return Table(int(STEM_CHANNELS * width), tuple(stages), int(HEAD_CHANNELS * width))


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``squeezenext``'s arguments for these tensors, or None for another network's."""
    stem = shapes.get("features.init_block.conv.conv.weight", ())
    logits = shapes.get("output.weight", ())
    if len(stem) != 4 or len(logits) != 2 or _unit(1, 1) not in shapes:
        return None
    for version, counts in STAGE_UNITS.items():
        if _unit(1, counts[0]) not in shapes or _unit(1, counts[0] + 1) in shapes:
            continue
        for width in _DETECTED_WIDTHS:
            if stem[0] == int(STEM_CHANNELS * width):
                found = {"version": version, "width": width}
                return {**found, "classes": logits[0], "in_channels": stem[1]}
    return None


def _unit(stage: int, unit: int) -> str:
    return f"features.stage{stage}.unit{unit}.conv5.conv.weight"


_NOTE = (
    "the published count is of more than multiply-accumulates: in width 1 it has 2.9 more for each"
    " of the 4.0 M convolved values, which have biases, batch norms and ReLUs"
)


def _published(version: str, width: float, figures: tuple[float, float, float]) -> Published:
    error, params, macs = figures
    arguments, top1 = {"version": version, "width": width}, round(100 - error, 2)
    source = "osmr/imgclsmob, pytorch/README.md"
    return Published(f"{width}-SqNxt-{version}", arguments, source, params, macs, top1, note=_NOTE)


PUBLISHED = (
    _published("23", 1.0, (42.51, 0.724056, 287.28)),
    _published("23v5", 1.0, (40.77, 0.921816, 285.82)),
    _published("23", 1.5, (34.89, 1.511824, 552.39)),
    _published("23v5", 1.5, (33.81, 1.953616, 550.97)),
    _published("23", 2.0, (30.62, 2.583752, 898.48)),
    _published("23v5", 2.0, (29.63, 3.366344, 897.60)),
)
