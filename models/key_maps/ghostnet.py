"""GhostNetV3 (arXiv 2404.11202) of its authors, trained or deployed: timm's ``ghostnetv3_*``.

Deployed, it has timm's names already, as the authors' GhostNet and GhostNetV2 have.
"""

from __future__ import annotations

from collections.abc import Iterator

from cnn_export.models.key_map import KeyMap, Mapped, Rule
from cnn_export.models.registry import Shapes

_TRAINED = "blocks.0.0.ghost1.cheap_rpr_conv.0.bn.weight"
_DEPLOYED = "blocks.0.0.ghost1.cheap_operation.0.bias"
_WIDTHS = {8: "050", 16: "100", 20: "130", 24: "160"}
"""Stem channels, 16 times the width in multiples of four, and how timm writes the width."""


def _detect(shapes: Shapes) -> Iterator[Mapped]:
    stem, logits = shapes.get("conv_stem.weight", ()), shapes.get("classifier.weight", ())
    if len(stem) != 4 or len(logits) != 2 or stem[0] not in _WIDTHS:
        return
    network = f"timm:ghostnetv3_{_WIDTHS[stem[0]]}"
    if _TRAINED in shapes:
        yield Mapped(network)
    elif _DEPLOYED in shapes:
        merged = {"reparameterized": True, "num_classes": logits[0], "in_chans": stem[1]}
        yield Mapped(network, merged)


KEY_MAPS = (
    KeyMap(
        layout="huawei-noah/Efficient-AI-Backbones",
        source="huawei-noah/Efficient-AI-Backbones@f90e129b645c3b1684fe07cd361cd557d0ad71f7",
        rules=(Rule(r"_rpr_(conv\.\d|scale)\.bn\.", r"_rpr_\1.bn1."),),
        detect=_detect,
    ),
)
