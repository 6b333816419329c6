"""Layers of the networks with octave convolutions, and recognising a checkpoint by them.

Pure data and integers: nothing here builds a module.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from cnn_export.models.parts.blocks.stage_names import blocks_per_stage
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes


@dataclasses.dataclass(frozen=True)
class Row:
    """One depthwise separable layer of MobileNetV1; octaves: its input has low maps, its output."""

    inputs: int
    outputs: int
    stride: int
    low_in: bool = True
    low_out: bool = True


STEM_CHANNELS = 32
ROWS = (
    Row(32, 64, 1, low_in=False),
    Row(64, 128, 2),
    Row(128, 128, 1),
    Row(128, 256, 2),
    Row(256, 256, 1),
    Row(256, 512, 2),
    Row(512, 512, 1),
    Row(512, 512, 1),
    Row(512, 512, 1),
    Row(512, 512, 1),
    Row(512, 512, 1, low_out=False),
    Row(512, 1024, 2, low_in=False, low_out=False),
    Row(1024, 1024, 1, low_in=False, low_out=False),
)

RESNET_BLOCKS = {
    26: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
_MOST_BLOCKS = max(map(max, RESNET_BLOCKS.values()))
RESNET_STEM_CHANNELS = 64
RESNET_WIDTHS = (64, 128, 256, 512)
RESNET_EXPANSION = 4


def alpha_in_range(alpha: float) -> float:
    """Return α.

    Raises:
        ValueError: it is no share above 0 and below 1, where all maps would have one resolution.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is the share of maps at half resolution, 0 to 1, got {alpha}")
    return alpha


def detect_mobilenet(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``oct_mobilenet``'s arguments for these tensors, or None for another network's."""
    low = shapes.get("features.2.0.conv.conv_l2l.weight", ())
    high = shapes.get("features.2.0.conv.conv_h2h.weight", ())
    stem, logits = shapes.get("features.0.0.weight", ()), shapes.get("fc.weight", ())
    if len(low) != 4 or len(high) != 4 or len(stem) != 4 or len(logits) != 2:
        return None
    if low[0] + high[0] != ROWS[1].inputs:
        return None
    arguments = {"classes": logits[0], "in_channels": stem[1]}
    return {"alpha": low[0] / ROWS[1].inputs, **arguments}


def detect_resnet(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``oct_resnet``'s arguments for these tensors, or None for another network's."""
    low = shapes.get("layer1.0.conv1.bn_l.weight", ())
    stem, logits = shapes.get("conv1.weight", ()), shapes.get("fc.weight", ())
    if len(low) != 1 or len(stem) != 4 or len(logits) != 2:
        return None
    blocks = blocks_per_stage(shapes, "layer{stage}.{block}.conv1.bn_h.weight", 4, _MOST_BLOCKS)
    depths = [depth for depth, counts in RESNET_BLOCKS.items() if counts == blocks]
    if not depths:
        return None
    arguments = {"classes": logits[0], "in_channels": stem[1]}
    return {"depth": depths[0], "alpha": low[0] / RESNET_WIDTHS[0], **arguments}


_README = "d-li14/octconv.pytorch, README.md"
PUBLISHED_MOBILENET = (
    Published("Oct-MobileNetV1 (alpha 0.5)", {"alpha": 0.5}, _README, 4.232, 318.2, 71.254),
)


def _resnet(depth: int, params_m: float, macs_m: float, top1: float) -> Published:
    name = f"Oct-ResNet-{depth} (alpha 0.5)"
    return Published(name, {"depth": depth, "alpha": 0.5}, _README, params_m, macs_m, top1)


PUBLISHED_RESNET = (
    _resnet(50, 25.557, 2367, 77.640),
    _resnet(101, 44.549, 3991, 78.794),
    _resnet(152, 60.193, 5615, 79.258),
)
