"""ACNet's tables, and recognising its checkpoints: DingXiaoH/ACNet, ``base_model/``.

What stands in the place of a k×k convolution is one of three *units* (``Form``): an asymmetric
block, the block after deployment, or a plain convolution with batch norm, the baseline's.
Kernels of 1×1 and of 7×7 or more are plain in every form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnn_export.models.parts.blocks.stage_names import blocks_per_stage
from cnn_export.models.parts.merge_forms import FORMS, Form
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

_WEIGHT: Mapping[Form, str] = {
    "trained": "square_conv.weight",
    "deployed": "fused_conv.weight",
    "plain": "conv.weight",
}

RESNET_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Residual blocks per stage, by depth."""

VGG_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the 3x3 convolutions; behind each row the map is halved by a max pool."""
VGG_HIDDEN = 512

QUICK_CHANNELS = (32, 32, 64)
"""Channels of the 5x5 convolutions."""
QUICK_HIDDEN = 64
QUICK_SIDE = 3
"""Height and width of the last map, which the first fully connected layer reads whole."""

_README = "DingXiaoH/ACNet README.md"
_PLAIN = "torchvision's documentation of resnet18, the network it deploys as"
_CIFAR = (3, 32, 32)
RESNET_PUBLISHED = (
    Published("acnet_resnet18", {"depth": 18}, _README, top1_percent=71.2),
    Published("acnet_resnet18 deployed", {"form": "deployed"}, _PLAIN, 11.69, 1814),
    Published("acnet_resnet18 plain", {"form": "plain"}, _README, top1_percent=70.6),
)
VGG_PUBLISHED = (
    Published("acnet_vgg", {}, _README, top1_percent=94.54, input_size=_CIFAR),
    Published("acnet_vgg plain", {"form": "plain"}, _README, top1_percent=93.99, input_size=_CIFAR),
)
QUICK_PUBLISHED = (
    Published("acnet_cfqk", {}, _README, top1_percent=86.87, input_size=_CIFAR),
    Published(
        "acnet_cfqk plain", {"form": "plain"}, _README, top1_percent=86.20, input_size=_CIFAR
    ),
)


def unit_weight(unit: str, form: Form, relu: bool = True) -> str:
    """Return the name of the k×k weight in the unit of that name."""
    inner = "acb." if relu and form != "plain" else ""
    return f"{unit}.{inner}{_WEIGHT[form]}"


def _form(shapes: Shapes, unit: str) -> Form | None:
    """Return the form of the unit (with ReLU) of that name; None where it is not there."""
    return next((form for form in FORMS if unit_weight(unit, form) in shapes), None)


def detect_resnet(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``acnet_resnet``'s arguments for these tensors, or None for another network's."""
    stem, logits = shapes.get("conv1.conv.weight", ()), shapes.get("linear.weight", ())
    form = _form(shapes, "stage1.0.conv1")
    if len(stem) != 4 or len(logits) != 2 or stem[2:] != (7, 7) or form is None:
        return None
    pattern = "stage{stage}.{block}." + unit_weight("conv2", form, relu=False)
    counted = blocks_per_stage(shapes, pattern, stages=4, most=7)
    depths = (depth for depth, blocks in RESNET_BLOCKS.items() if blocks == counted)
    depth = next(depths, None)
    if depth is None:
        return None
    sizes = {"width": stem[0] / 64, "classes": logits[0], "in_channels": stem[1]}
    return {"depth": depth, "form": form, **sizes}


def detect_vgg(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``acnet_vgg``'s arguments for these tensors, or None for another network's."""
    form, logits = _form(shapes, "stem.conv1"), shapes.get("linear2.weight", ())
    last = _form(shapes, f"stem.conv{sum(map(len, VGG_STAGES))}")
    if form is None or last != form or len(logits) != 2:
        return None
    stem = shapes[unit_weight("stem.conv1", form)]
    if len(stem) != 4:
        return None
    return {"form": form, "classes": logits[0], "in_channels": stem[1]}


def detect_quick(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``acnet_cfqk``'s arguments for these tensors, or None for another network's."""
    form, logits = _form(shapes, "conv1"), shapes.get("fc2.weight", ())
    if form is None or len(logits) != 2 or "fc1.weight" not in shapes:
        return None
    stem = shapes[unit_weight("conv1", form)]
    if len(stem) != 4 or stem[2:] != (5, 5):
        return None
    return {"form": form, "classes": logits[0], "in_channels": stem[1]}
