"""MobileNetV2 (arXiv 1801.04381) as d-li14 and tonylins name it: torchvision's."""

from __future__ import annotations

from collections.abc import Iterator

from cnn_export.models.key_map import KeyMap, Mapped, Rule
from cnn_export.models.registry import Shapes

_MARKERS = ("features.2.conv.6.weight", "conv.0.weight", "classifier.weight")
_FIRST = r"^features\.1\.conv\."
_BLOCK = r"^features\.((?!1\.)\d+)\.conv\."
_FINEST = 4
"""Stem channels at width 0.1, where channels are multiples of four in place of eight."""


def _detect(shapes: Shapes) -> Iterator[Mapped]:
    if not all(marker in shapes for marker in _MARKERS):
        return
    finest = shapes.get("features.0.0.weight", ())[:1] == (_FINEST,)
    arguments = {"width_mult": 0.1, "round_nearest": _FINEST} if finest else {}
    yield Mapped("torchvision:mobilenet_v2", arguments)


KEY_MAPS = (
    KeyMap(
        layout="d-li14/mobilenetv2.pytorch",
        source="d-li14/mobilenetv2.pytorch@1733532bd43743442077326e1efc556d7cfd025d",
        rules=(
            Rule(_FIRST + r"([01])\.", r"features.1.conv.0.\1."),
            Rule(_FIRST + r"3\.", "features.1.conv.1."),
            Rule(_FIRST + r"4\.", "features.1.conv.2."),
            Rule(_BLOCK + r"([01])\.", r"features.\1.conv.0.\2."),
            Rule(_BLOCK + r"3\.", r"features.\1.conv.1.0."),
            Rule(_BLOCK + r"4\.", r"features.\1.conv.1.1."),
            Rule(_BLOCK + r"6\.", r"features.\1.conv.2."),
            Rule(_BLOCK + r"7\.", r"features.\1.conv.3."),
            Rule(r"^conv\.", "features.18."),
            Rule(r"^classifier\.", "classifier.1."),
        ),
        detect=_detect,
    ),
)
