"""The DBB repository's tables, and recognising its checkpoints: DingXiaoH/DiverseBranchBlock.

Every 3×3 convolution is a *unit* in one of three forms (``Form``): a diverse branch block, the
block after deployment, or a plain convolution with batch norm, the baseline's. When deployed, the
plain units (1×1, 7×7) have lost their batch norms too.
"""

from __future__ import annotations

from typing import Any

from cnn_export.models.parts.blocks.stage_names import blocks_per_stage
from cnn_export.models.parts.merge_forms import Form
from cnn_export.models.parts.mobilenet_pairs import MOBILENET_PAIRS
from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

RESNETS = {18: ((2, 2, 2, 2), False), 50: ((3, 4, 6, 3), True)}
"""Residual blocks per stage and whether they are bottlenecks, by depth."""

MOBILENET_STEM = 32

_PAPER = "arXiv 2103.13425, Table 2"
_RESNET18 = "torchvision's documentation of resnet18, the network it deploys as"
_RESNET50 = "torchvision's documentation of resnet50, the network it deploys as"
_MOBILENET = "arXiv 1704.04861, Table 4: the network it deploys as"
RESNET_PUBLISHED = (
    Published("dbb_resnet18", {"depth": 18}, _PAPER, top1_percent=70.99),
    Published("dbb_resnet18 deployed", {"depth": 18, "form": "deployed"}, _RESNET18, 11.69, 1814),
    Published("dbb_resnet18 plain", {"depth": 18, "form": "plain"}, _PAPER, top1_percent=69.54),
    Published("dbb_resnet50", {"depth": 50}, _PAPER, top1_percent=76.71),
    Published("dbb_resnet50 deployed", {"depth": 50, "form": "deployed"}, _RESNET50, 25.56, 4089),
    Published("dbb_resnet50 plain", {"depth": 50, "form": "plain"}, _PAPER, top1_percent=76.14),
)
MOBILENET_PUBLISHED = (
    Published("dbb_mobilenet", {}, _PAPER, top1_percent=72.88),
    Published("dbb_mobilenet deployed", {"form": "deployed"}, _MOBILENET, 4.2, 569),
    Published("dbb_mobilenet plain", {"form": "plain"}, _PAPER, top1_percent=71.89),
)


def _unit_form(shapes: Shapes, unit: str) -> Form | None:
    """Return the form of the k×k unit of that name; None where it is not there."""
    if f"{unit}.dbb_origin.conv.weight" in shapes:
        return "trained"
    if f"{unit}.dbb_reparam.weight" in shapes:
        return "deployed"
    return "plain" if f"{unit}.bn.weight" in shapes else None


_WEIGHTS: dict[Form, str] = {
    "trained": "dbb_origin.conv.weight",
    "deployed": "dbb_reparam.weight",
    "plain": "conv.weight",
}


def detect_resnet(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``dbb_resnet``'s arguments for these tensors, or None for another network's."""
    stem, logits = shapes.get("stage0.conv1.conv.weight", ()), shapes.get("linear.weight", ())
    if len(stem) != 4 or len(logits) != 2:
        return None
    for depth, (blocks, bottleneck) in RESNETS.items():
        form = _unit_form(shapes, f"stage1.0.conv{2 if bottleneck else 1}")
        if form is None or bottleneck != ("stage1.0.conv3.conv.weight" in shapes):
            continue
        pattern = "stage{stage}.{block}.conv2." + _WEIGHTS[form]
        if blocks_per_stage(shapes, pattern, stages=4, most=7) == blocks:
            sizes = {"width": stem[0] / 64, "classes": logits[0], "in_channels": stem[1]}
            return {"depth": depth, "form": form, **sizes}
    return None


def detect_mobilenet(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``dbb_mobilenet``'s arguments for these tensors, or None for another network's."""
    form, logits = _unit_form(shapes, "stem.0.depthwise"), shapes.get("linear.weight", ())
    if form is None or len(logits) != 2:
        return None
    if f"stem.{len(MOBILENET_PAIRS)}.depthwise.{_WEIGHTS[form]}" in shapes:
        return None
    stem = shapes.get(f"conv1.{_WEIGHTS[form]}", ())
    if len(stem) != 4 or f"stem.12.depthwise.{_WEIGHTS[form]}" not in shapes:
        return None
    return {"form": form, "classes": logits[0], "in_channels": stem[1]}
