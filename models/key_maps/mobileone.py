"""MobileOne's authors (arXiv 2206.04040), trained and deployed: timm's ``mobileone_*``."""

from __future__ import annotations

from collections.abc import Iterator

from cnn_export.models.key_map import KeyMap, Mapped, Rule
from cnn_export.models.registry import Shapes

_WIDTHS = {
    "mobileone_s0": (48, 128, 256, 1024),
    "mobileone_s1": (96, 192, 512, 1280),
    "mobileone_s2": (96, 256, 640, 2048),
    "mobileone_s3": (128, 320, 768, 2048),
    "mobileone_s4": (192, 448, 896, 2048),
}
"""Channels of the four stages: 64, 128, 256, 512 times the width multipliers of table 2."""
_TRAINED = "stage{}.1.rbr_conv.0.conv.weight"
_STEM = "stage0.reparam_conv.weight"
_DEPLOYED = "stage{}.1.reparam_conv.weight"


def _detect(shapes: Shapes) -> Iterator[Mapped]:
    deployed = _DEPLOYED.format(1) in shapes
    if not deployed and _TRAINED.format(1) not in shapes:
        return
    weights = [(_DEPLOYED if deployed else _TRAINED).format(stage) for stage in (1, 2, 3, 4)]
    widths = tuple(shapes[weight][0] for weight in weights if shapes.get(weight))
    for name, published in _WIDTHS.items():
        if widths == published:
            yield Mapped(f"timm:{name}", _merged_sizes(shapes) if deployed else {})


def _merged_sizes(shapes: Shapes) -> dict[str, int]:
    """Return what timm reads off names that a merged network has not."""
    stem, logits = shapes.get(_STEM, ()), shapes.get("linear.weight", ())
    return {"num_classes": logits[0], "in_chans": stem[1]} if len(stem) == 4 and logits else {}


KEY_MAPS = (
    KeyMap(
        layout="apple/ml-mobileone",
        source="apple/ml-mobileone@b7f4e6d48884593c7eb46eedc53c3a097c09e957",
        rules=(
            Rule(r"^stage0\.", "stem."),
            *(Rule(rf"^stage{stage}\.", f"stages.{stage - 1}.") for stage in (1, 2, 3, 4)),
            Rule(r"\.rbr_conv\.", ".conv_kxk."),
            Rule(r"\.rbr_scale\.", ".conv_scale."),
            Rule(r"\.rbr_skip\.", ".identity."),
            Rule(r"\.se\.reduce\.", ".attn.fc1."),
            Rule(r"\.se\.expand\.", ".attn.fc2."),
            Rule(r"^linear\.", "head.fc."),
        ),
        detect=_detect,
    ),
)
