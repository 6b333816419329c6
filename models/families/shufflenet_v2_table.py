"""ShuffleNetV2's and V2+'s units, and recognising a checkpoint by them.

Pure data and integers: nothing here builds a module.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes


class Kind(enum.Enum):
    """The convolutions of a unit's main branch.

    Pointwise, depthwise of that size, pointwise; or three times depthwise 3×3 and pointwise, which
    no published network strides.
    """

    SHUFFLE_3 = 3
    SHUFFLE_5 = 5
    SHUFFLE_7 = 7
    XCEPTION = 0


@dataclasses.dataclass(frozen=True)
class Unit:
    """One unit: half of its input passes, or, of stride 2, goes through a branch of its own."""

    kind: Kind
    inputs: int
    outputs: int
    stride: int
    hard_swish: bool = False
    squeeze: bool = False

    @property
    def hidden(self) -> int:
        """Channels of the main branch."""
        return self.outputs // 2

    @property
    def entering(self) -> int:
        """Channels that the main branch takes, and the other gives."""
        return self.inputs if self.stride == 2 else self.inputs // 2


@dataclasses.dataclass(frozen=True)
class Table:
    """Every unit of one network. ``plus``: without max pool, with V2+'s head."""

    stem: int
    units: tuple[Unit, ...]
    head: int
    plus: bool = False


STAGES = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
"""V2 by width: output channels of the stages and of the last convolution, table 5 of the paper."""

STAGE_UNITS = (4, 8, 4)
STEM_CHANNELS = 24

PLUS_STAGES = {
    "small": (36, 104, 208, 416),
    "medium": (48, 128, 256, 512),
    "large": (68, 168, 336, 672),
}
"""V2+ by size: output channels of the stages, from the authors' code as all that follows."""

_3, _5, _7, _X = Kind.SHUFFLE_3, Kind.SHUFFLE_5, Kind.SHUFFLE_7, Kind.XCEPTION
PLUS_KINDS = (
    (_3, _3, _X, _5),
    (_5, _5, _3, _3),
    (_7, _3, _7, _5, _5, _3, _7, _3),
    (_7, _5, _X, _7),
)
PLUS_STEM_CHANNELS = 16
PLUS_HEAD_CHANNELS = 1280


def table(width: float) -> Table:
    """Return V2 at a published width.

    Raises:
        ValueError: the width is not published; names those that are.
    """
    if width not in STAGES:
        raise ValueError(f"ShuffleNetV2 has widths {', '.join(map(str, STAGES))}, got {width}")
    *stages, head = STAGES[width]
    kinds = [(Kind.SHUFFLE_3,) * units for units in STAGE_UNITS]
    units = _units(STEM_CHANNELS, zip(kinds, stages, strict=True))
    return Table(STEM_CHANNELS, tuple(units), head)


def plus_table(size: str) -> Table:
    """Return V2+ of a published size. Hard-swish from the second stage on, SE from the third.

    Raises:
        ValueError: the size is not published; names those that are.
    """
    if size not in PLUS_STAGES:
        raise ValueError(f"ShuffleNetV2+ has sizes {', '.join(PLUS_STAGES)}, got {size!r}")
    stages = zip(PLUS_KINDS, PLUS_STAGES[size], strict=True)
    units: list[Unit] = []
    for stage, row in enumerate(stages):
        inputs = units[-1].outputs if units else PLUS_STEM_CHANNELS
        for unit in _units(inputs, [row]):
            units.append(dataclasses.replace(unit, hard_swish=stage >= 1, squeeze=stage >= 2))
    return Table(PLUS_STEM_CHANNELS, tuple(units), PLUS_HEAD_CHANNELS, plus=True)


def _units(inputs: int, stages: Iterable[tuple[Sequence[Kind], int]]) -> Iterator[Unit]:
    for kinds, outputs in stages:
        for position, kind in enumerate(kinds):
            yield Unit(kind, inputs, outputs, 1 if position else 2)
            inputs = outputs


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``shufflenet_v2``'s arguments for these tensors, or None for another network's."""
    ends = _ends(shapes)
    if ends is None or "LastSE.SE_opr.1.weight" in shapes:
        return None
    hidden, arguments = ends
    widths = [width for width, (first, *_) in STAGES.items() if first == 2 * hidden]
    return {"width": widths[0], **arguments} if widths else None


def detect_plus(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``shufflenet_v2_plus``' arguments for these tensors, or None for another network's."""
    ends = _ends(shapes)
    if ends is None or "LastSE.SE_opr.1.weight" not in shapes:
        return None
    hidden, arguments = ends
    sizes = [size for size, (first, *_) in PLUS_STAGES.items() if first == 2 * hidden]
    return {"size": sizes[0], **arguments} if sizes else None


def _ends(shapes: Shapes) -> tuple[int, dict[str, int]] | None:
    """Return the first unit's hidden channels, with class count and input channels."""
    first = shapes.get("features.0.branch_main.0.weight", ())
    stem = shapes.get("first_conv.0.weight", ())
    logits = shapes.get("classifier.0.weight", ())
    if len(first) != 4 or len(stem) != 4 or len(logits) != 2:
        return None
    return first[0], {"classes": logits[0], "in_channels": stem[1]}


_README = "megvii-model/ShuffleNet-Series, README.md"
_ROUNDED_UP = "40.5 M multiply-accumulates are published as 41 M"
_CUT = "published in tenths of M parameters, cut: 5.68 as 5.6, 6.77 as 6.7"

PUBLISHED = (
    Published("ShuffleNetV2 0.5x", {"width": 0.5}, _README, 1.4, 41, 61.1, note=_ROUNDED_UP),
    Published("ShuffleNetV2 1.0x", {"width": 1.0}, _README, 2.3, 146, 69.4),
    Published("ShuffleNetV2 1.5x", {"width": 1.5}, _README, 3.5, 299, 72.6),
    Published("ShuffleNetV2 2.0x", {"width": 2.0}, _README, 7.4, 591, 75.0),
)
PUBLISHED_PLUS = (
    Published("ShuffleNetV2+ Small", {"size": "small"}, _README, 5.1, 156, 74.1),
    Published("ShuffleNetV2+ Medium", {"size": "medium"}, _README, 5.6, 222, 75.7, note=_CUT),
    Published("ShuffleNetV2+ Large", {"size": "large"}, _README, 6.7, 360, 77.1, note=_CUT),
)
