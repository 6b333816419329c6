"""SE-ResNets by depth, and recognising a checkpoint of them; no torch here."""

from __future__ import annotations

import itertools
from typing import Any

from cnn_export.models.parts.blocks.stage_names import blocks_per_stage
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

EXPANSION = 4
DEPTHS = {
    "SE-ResNet-18": ((2, 2, 2, 2), False),
    "SE-ResNet-34": ((3, 4, 6, 3), False),
    "SE-ResNet-50": ((3, 4, 6, 3), True),
    "SE-ResNet-101": ((3, 4, 23, 3), True),
    "SE-ResNet-152": ((3, 8, 36, 3), True),
}
"""Blocks of each stage, and whether they are bottlenecks."""
CIFAR_DEPTHS = {"SE-ResNet-20": 3, "SE-ResNet-32": 5, "SE-ResNet-56": 9}
"""Blocks of each of the three stages for images of 32x32."""

SMALL_INPUT = (3, 32, 32)

_STAGES, _MOST = 4, 64
_CIFAR_STEM = 3


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``se_resnet``'s arguments for these tensors, or None for another network's."""
    gate = shapes.get("layer1.0.se.fc.0.weight", ())
    stem, logits = shapes.get("conv1.weight", ()), shapes.get("fc.weight", ())
    if len(gate) != 2 or len(stem) != 4 or len(logits) != 2 or not gate[0]:
        return None
    counted = blocks_per_stage(shapes, "layer{stage}.{block}.conv1.weight", _STAGES, _MOST)
    return {
        "blocks": tuple(itertools.takewhile(bool, counted)),
        "bottleneck": "layer1.0.conv3.weight" in shapes,
        "small_images": stem[2] == _CIFAR_STEM,
        "reduction": gate[1] // gate[0],
        "classes": logits[0],
        "in_channels": stem[1],
    }


_STRIDE = (
    "the paper's bottlenecks stride in their first convolution, the repository's in the second"
)


_PAPER = "arXiv 1709.01507, table 2"


def _published(name: str, macs_m: float, top1: float, source: str = _PAPER) -> Published:
    blocks, bottleneck = DEPTHS[name]
    return Published(
        name,
        {"blocks": blocks, "bottleneck": bottleneck},
        source,
        macs_m=macs_m,
        top1_percent=top1,
        note=_STRIDE,
    )


PUBLISHED = (
    _published("SE-ResNet-50", 3870, 77.06, f"{_PAPER}; top-1: moskomule/senet.pytorch, README.md"),
    _published("SE-ResNet-101", 7600, 77.62),
    _published("SE-ResNet-152", 11320, 78.43),
)
