"""Table and detector of the DenseNets of kuangliu/pytorch-cifar."""

from __future__ import annotations

import math
from typing import Any

from cnn_export.models.parts.blocks.stage_names import blocks_per_stage
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

INPUT = (3, 32, 32)
BLOCKS = {
    121: (6, 12, 24, 16),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    161: (6, 12, 36, 24),
}
"""Layers of each dense block, by depth (arXiv 1608.06993, Table 1)."""
BOTTLENECK = 4
"""Channels between a layer's two convolutions, in growth rates."""
REDUCTION = 0.5
"""Share of the channels that a transition keeps."""

PUBLISHED = (
    Published(
        "cifar_densenet121",
        {"depth": 121, "growth_rate": 32},
        "kuangliu/pytorch-cifar README.md",
        top1_percent=95.04,
        input_size=INPUT,
    ),
)


def block_inputs(depth: int, growth_rate: int) -> list[int]:
    """Return the channels that enter each dense block, and at last those that leave the last."""
    channels = [2 * growth_rate]
    for number, layers in enumerate(BLOCKS[depth], start=1):
        grown = channels[-1] + layers * growth_rate
        last = number == len(BLOCKS[depth])
        channels.append(grown if last else math.floor(grown * REDUCTION))
    return channels


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``cifar_densenet``'s arguments for these tensors, or None for another network's."""
    stem, logits = shapes.get("conv1.weight", ()), shapes.get("linear.weight", ())
    growth = shapes.get("dense1.0.conv2.weight", ())
    if len(stem) != 4 or len(logits) != 2 or len(growth) != 4 or stem[0] != 2 * growth[0]:
        return None
    most = max(map(max, BLOCKS.values())) + 1
    counted = blocks_per_stage(shapes, "dense{stage}.{block}.conv2.weight", 4, most)
    depth = next((depth for depth, blocks in BLOCKS.items() if blocks == counted), None)
    if depth is None:
        return None
    sizes = {"classes": logits[0], "in_channels": stem[1]}
    return {"depth": depth, "growth_rate": growth[0], **sizes}
