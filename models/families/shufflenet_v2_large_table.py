"""Stages of ShuffleNetV2.Large and ShuffleNetV2.ExLarge, and recognising a checkpoint by them.

Pure data and integers: nothing here builds a module.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes


@dataclasses.dataclass(frozen=True)
class Stage:
    """``blocks`` units that give ``outputs`` channels; ``head``: channels of the training head."""

    blocks: int
    outputs: int
    stride: int
    head: int = 0


LARGE = (
    Stage(10, 256, 1, 256),
    Stage(10, 512, 2, 512),
    Stage(23, 1024, 2, 1024),
    Stage(10, 2048, 2),
)
LARGE_STEM = (64, 64, 128)
LARGE_GROUPS, LARGE_FEATURES = 8, 1280
EXLARGE = (
    Stage(8, 320, 1, 256),
    Stage(16, 640, 2, 512),
    Stage(36, 1280, 2, 1024),
    Stage(10, 2560, 2),
)
EXLARGE_STEM = (64, 128, 256)
EXLARGE_GROUPS, EXLARGE_SQUEEZE = 16, 4
HEAD_NAMES = ("predict_56", "predict_28", "predict_14")
"""Of the heads that training adds behind the stages but the last, by their maps' sides."""
HEAD_CLASSES = 1000
"""Whatever the network's own."""


def detect_large(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``shufflenet_v2_large``'s arguments for these tensors, or None for another's."""
    return _sizes(shapes, "features.0.2a.se_fc1.weight", "conv_last.conv.weight", "fc.weight")


def detect_exlarge(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``shufflenet_v2_exlarge``'s arguments for these tensors, or None for another's."""
    return _sizes(
        shapes, "features.0.0.se_fc1.fc.weight", "predict_14.conv.0.conv.weight", "fc.fc.weight"
    )


def _sizes(shapes: Shapes, gate: str, late: str, last: str) -> dict[str, Any] | None:
    stem, logits = shapes.get("first_conv.0.conv.weight", ()), shapes.get(last, ())
    if gate not in shapes or late not in shapes or len(stem) != 4 or len(logits) != 2:
        return None
    return {"classes": logits[0], "in_channels": stem[1]}


_LARGE = "megvii-model/ShuffleNet-Series, ShuffleNetV2.Large/README.md"
_EXLARGE = "megvii-model/ShuffleNet-Series, ShuffleNetV2.ExLarge/README.md"
PUBLISHED_LARGE = (Published("ShuffleNetV2.Large", {}, _LARGE, 140.7, 12_700, 81.44),)
_HEADS = "the file also holds heads of training, 15.9 M parameters; without them it has 255.4 M"
PUBLISHED_EXLARGE = (
    Published("ShuffleNetV2.ExLarge", {}, _EXLARGE, 254.7, 46_200, 84.48, note=_HEADS),
)
