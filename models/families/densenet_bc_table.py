"""Table and detector of the DenseNets for small images of gpleiss/efficient_densenet_pytorch."""

from __future__ import annotations

import itertools
import math
from typing import Any

from cnn_export.models.parts.blocks.stage_names import blocks_per_stage
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

INPUT = (3, 32, 32)
BLOCKS = (16, 16, 16)
"""Layers of the dense blocks at a depth of 100, each of two convolutions (arXiv 1608.06993)."""
BOTTLENECK = 4
"""Channels between a layer's two convolutions, in growth rates."""
COMPRESSION = 0.5
"""Share of the channels that a transition keeps."""
_MOST_BLOCKS, _MOST_LAYERS = 4, 128

PUBLISHED = (
    Published(
        "DenseNet-BC (L = 100, k = 12)",
        {"blocks": BLOCKS, "growth_rate": 12, "stem": 24},
        "arXiv 1608.06993, table 2",
        params_m=0.8,
        top1_percent=95.49,
        input_size=INPUT,
    ),
)


def block_inputs(blocks: tuple[int, ...], growth_rate: int, stem: int) -> list[int]:
    """Return the channels that enter each dense block, and at last those that leave the last."""
    channels = [stem]
    for number, layers in enumerate(blocks, start=1):
        grown = channels[-1] + layers * growth_rate
        channels.append(grown if number == len(blocks) else math.floor(grown * COMPRESSION))
    return channels


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``densenet_bc``'s arguments for these tensors, or None for another network's."""
    stem, logits = shapes.get("features.conv0.weight", ()), shapes.get("classifier.weight", ())
    growth = shapes.get("features.denseblock1.denselayer1.conv2.weight", ())
    last = shapes.get("features.norm_final.weight", ())
    if not len(stem) == len(growth) == 4 or len(logits) != 2 or not last:
        return None
    if "features.norm0.weight" in shapes:  # for photographs: torchvision's, under other names
        return None
    names = "features.denseblock{stage}.denselayer{block}.conv2.weight"
    counted = blocks_per_stage(shapes, names, _MOST_BLOCKS, _MOST_LAYERS, first=1)
    blocks = tuple(itertools.takewhile(bool, counted))
    return {
        "blocks": blocks,
        "growth_rate": growth[0],
        "stem": stem[0],
        "classes": logits[0],
        "in_channels": stem[1],
    }
