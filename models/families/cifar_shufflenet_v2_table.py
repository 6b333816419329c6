"""Table and detector of the ShuffleNetV2 of kuangliu/pytorch-cifar: strides for 32×32."""

from __future__ import annotations

from typing import Any

from cnn_export.models.parts.blocks.stage_names import blocks_per_stage
from cnn_export.models.registry import Shapes

INPUT = (3, 32, 32)
STEM = 24
UNITS = (3, 7, 3)
"""Units without stride in each stage, behind the strided one (arXiv 1807.11164, Table 5)."""
CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (224, 488, 976, 2048),
}
"""Channels of the three stages and of the last convolution, by width; at 2 the first stage has 224,
where the paper has 244."""


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``cifar_shufflenet_v2``'s arguments for these tensors, or None for another's."""
    half, last = shapes.get("layer1.0.conv5.weight", ()), shapes.get("conv2.weight", ())
    stem, logits = shapes.get("conv1.weight", ()), shapes.get("linear.weight", ())
    if not (len(half) == len(last) == len(stem) == 4) or len(logits) != 2:
        return None
    widths = (w for w, c in CHANNELS.items() if (c[0], c[3]) == (2 * half[0], last[0]))
    width = next(widths, None)
    counted = blocks_per_stage(shapes, "layer{stage}.{block}.conv3.weight", 3, most=9)
    if width is None or counted != tuple(units + 1 for units in UNITS):
        return None
    return {"width": width, "classes": logits[0], "in_channels": stem[1]}
