"""RepVGG's variants, and recognising a checkpoint by them; no torch here.

Depths, widths and groups are those of the paper's tables 2 and 3, and of DingXiaoH/RepVGG for D2se.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

SQUEEZE_REDUCTION = 16


@dataclasses.dataclass(frozen=True)
class Variant:
    """Blocks and output channels of the four stages behind the stem, which has ``stem`` channels.

    ``groups`` are those of every second block, counted over all stages; ``squeeze`` adds a
    squeeze-excite behind each block's sum.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    groups: int = 1
    squeeze: bool = False

    def groups_at(self, place: int) -> int:
        """Groups of the block that is ``place`` blocks behind the stem, from 1 on."""
        return self.groups if place % 2 == 0 else 1

    @property
    def stem(self) -> int:
        """Channels of the first block, at most 64."""
        return min(64, self.widths[0])


_A, _B, _D = (2, 4, 14, 1), (4, 6, 16, 1), (8, 14, 24, 1)
_B1, _B2, _B3 = (128, 256, 512, 2048), (160, 320, 640, 2560), (192, 384, 768, 2560)
VARIANTS = {
    "A0": Variant(_A, (48, 96, 192, 1280)),
    "A1": Variant(_A, (64, 128, 256, 1280)),
    "A2": Variant(_A, (96, 192, 384, 1408)),
    "B0": Variant(_B, (64, 128, 256, 1280)),
    "B1": Variant(_B, _B1),
    "B1g2": Variant(_B, _B1, groups=2),
    "B1g4": Variant(_B, _B1, groups=4),
    "B2": Variant(_B, _B2),
    "B2g2": Variant(_B, _B2, groups=2),
    "B2g4": Variant(_B, _B2, groups=4),
    "B3": Variant(_B, _B3),
    "B3g2": Variant(_B, _B3, groups=2),
    "B3g4": Variant(_B, _B3, groups=4),
    "D2se": Variant(_D, _B2, squeeze=True),
}
"""Widths are 64, 128, 256 and 512 times a, a, a and b."""


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``repvgg``'s arguments for these tensors, or None for another network's."""
    deploy = "stage0.rbr_reparam.weight" in shapes
    kernel = "rbr_reparam" if deploy else "rbr_dense.conv"
    stem = shapes.get(f"stage0.{kernel}.weight", ())
    logits = shapes.get("linear.weight", ())
    if len(stem) != 4 or len(logits) != 2:
        return None
    squeeze = "stage0.se.down.weight" in shapes
    for name, variant in VARIANTS.items():
        if squeeze == variant.squeeze and _fits(shapes, variant, kernel):
            known = {"classes": logits[0], "in_channels": stem[1], "deploy": deploy}
            return {"variant": name, **known}
    return None


def _fits(shapes: Shapes, variant: Variant, kernel: str) -> bool:
    """Look at what tells the variants apart: where stages end, and some of their last kernels."""
    first, _, third, last = variant.widths
    depth, deepest = variant.depths[0], variant.depths[2]
    told = {
        f"stage1.{depth - 1}": (first, first // variant.groups, 3, 3),
        f"stage3.{deepest - 1}": (third, third // variant.groups, 3, 3),
        "stage4.0": (last, third, 3, 3),
    }
    if any(
        f"{block}.{kernel}.weight" in shapes for block in (f"stage1.{depth}", f"stage3.{deepest}")
    ):
        return False
    return all(shapes.get(f"{block}.{kernel}.weight") == shape for block, shape in told.items())


def _published(name: str, params_m: float, macs_m: float, top1: float) -> Published:
    return Published(
        f"RepVGG-{name}",
        {"variant": name, "deploy": True},
        "arXiv 2101.03697; counts and top-1 of the authors' weights in open-mmlab/mmpretrain",
        params_m=params_m,
        macs_m=macs_m,
        top1_percent=top1,
    )


PUBLISHED = (
    _published("A0", 8.31, 1360, 72.41),
    _published("A1", 12.79, 2370, 74.47),
    _published("A2", 25.5, 5120, 76.48),
    _published("B0", 14.34, 3060, 75.14),
    _published("B1", 51.83, 11820, 78.37),
    _published("B1g2", 41.36, 8820, 77.79),
    _published("B1g4", 36.13, 7320, 77.58),
    _published("B2", 80.32, 18390, 78.78),
    _published("B2g4", 55.78, 11340, 79.38),
    _published("B3", 110.96, 26220, 80.52),
    _published("B3g4", 75.63, 16080, 80.22),
    _published("D2se", 120.39, 32850, 81.81),
)
"""Deployed, on 224x224. Nobody gives figures for B2g2 and B3g2, which the authors' code has."""
