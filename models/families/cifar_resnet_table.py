"""Tables and detectors of the residual networks of kuangliu/pytorch-cifar, ``models/``.

All four have a stem without stride, stages ``layer1``, ``layer2``, … that halve the map from the
second on, and one layer ``linear`` on the mean. What differs:

=====================  ====  ===========================================================
network                bn1   blocks
=====================  ====  ===========================================================
ResNet                 yes   3×3, 3×3, or 1×1, 3×3, 1×1; batch norm behind each
PreActResNet           no    the same with batch norm and ReLU before each convolution
SENet                  yes   pre-activation 3×3, 3×3, then squeeze and excitation
ResNeXt                yes   1×1, grouped 3×3, 1×1; three stages, a 1×1 stem
=====================  ====  ===========================================================
"""

from __future__ import annotations

import dataclasses
from typing import Any

from cnn_export.models.parts.blocks.stage_names import blocks_per_stage
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

STEM = 64
INPUT = (3, 32, 32)
SQUEEZE = 16
"""SENet's reduction between its two fully connected layers."""
RESNEXT_EXPANSION = 2


@dataclasses.dataclass(frozen=True)
class Depth:
    """Blocks of each stage; bottlenecks have four times the width behind them."""

    blocks: tuple[int, ...]
    bottleneck: bool


DEPTHS = {
    18: Depth((2, 2, 2, 2), bottleneck=False),
    34: Depth((3, 4, 6, 3), bottleneck=False),
    50: Depth((3, 4, 6, 3), bottleneck=True),
    101: Depth((3, 4, 23, 3), bottleneck=True),
    152: Depth((3, 8, 36, 3), bottleneck=True),
}
SENET_BLOCKS = DEPTHS[18].blocks
RESNEXT_BLOCKS = (3, 3, 3)

_README = "kuangliu/pytorch-cifar README.md"


def _row(name: str, top1: float, **arguments: int) -> Published:
    return Published(name, arguments, _README, top1_percent=top1, input_size=INPUT)


RESNET_PUBLISHED = (
    _row("cifar_resnet18", 93.02, depth=18),
    _row("cifar_resnet50", 93.62, depth=50),
    _row("cifar_resnet101", 93.75, depth=101),
)
PREACT_PUBLISHED = (_row("cifar_preact_resnet18", 95.11, depth=18),)
RESNEXT_PUBLISHED = (
    _row("cifar_resnext29_32x4d", 94.73, cardinality=32, group_width=4),
    _row("cifar_resnext29_2x64d", 94.82, cardinality=2, group_width=64),
)


def detect_resnet(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``cifar_resnet``'s arguments for these tensors, or None for another network's."""
    if "bn1.weight" not in shapes or "layer2.0.shortcut.1.weight" not in shapes:
        return None
    return _detect_depth(shapes)


def detect_preact_resnet(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``cifar_preact_resnet``'s arguments for these tensors, or None for another's."""
    if "layer2.0.shortcut.0.weight" not in shapes or "layer2.0.shortcut.1.weight" in shapes:
        return None
    return None if "bn1.weight" in shapes else _detect_depth(shapes)


def detect_senet(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``cifar_senet``'s arguments for these tensors, or None for another network's."""
    if "bn1.weight" not in shapes or "layer1.0.fc1.weight" not in shapes:
        return None
    sizes = _sizes(shapes)
    return sizes if _blocks(shapes, 4) == SENET_BLOCKS else None


def detect_resnext(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``cifar_resnext``'s arguments for these tensors, or None for another network's."""
    grouped = shapes.get("layer1.0.conv2.weight", ())
    if "layer2.0.shortcut.1.weight" not in shapes or len(grouped) != 4:
        return None
    sizes = _sizes(shapes)
    if sizes is None or _blocks(shapes, 4) != (*RESNEXT_BLOCKS, 0) or grouped[1] < 1:
        return None
    return {"cardinality": grouped[0] // grouped[1], "group_width": grouped[1], **sizes}


def _detect_depth(shapes: Shapes) -> dict[str, Any] | None:
    sizes = _sizes(shapes)
    found = Depth(_blocks(shapes, 4), "layer1.0.conv3.weight" in shapes)
    depth = next((depth for depth, each in DEPTHS.items() if each == found), None)
    return None if sizes is None or depth is None else {"depth": depth, **sizes}


def _blocks(shapes: Shapes, stages: int) -> tuple[int, ...]:
    most = max(max(each.blocks) for each in DEPTHS.values()) + 1
    return blocks_per_stage(shapes, "layer{stage}.{block}.conv2.weight", stages, most)


def _sizes(shapes: Shapes) -> dict[str, Any] | None:
    stem, logits = shapes.get("conv1.weight", ()), shapes.get("linear.weight", ())
    if len(stem) != 4 or len(logits) != 2 or stem[0] != STEM:
        return None
    return {"classes": logits[0], "in_channels": stem[1]}
