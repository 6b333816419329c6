"""Recognising torchvision's ResNet-18 with asymmetric blocks by its tensors."""

from __future__ import annotations

from typing import Any

from cnn_export.models.registry import Shapes

_STEM = "conv1"
_LARGER = ("layer4.2.", "layer4.1.conv3.")
"""Tensors that only ResNets with more or other blocks have."""


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``resnet18_acb``'s arguments for these tensors, or None for another network's.

    Two blocks per stage and none in a bottleneck tell it from the larger ResNets.
    """
    deploy = f"{_STEM}.fused_conv.weight" in shapes
    kind = "fused_conv" if deploy else "square_conv"
    stem, logits = shapes.get(f"{_STEM}.{kind}.weight", ()), shapes.get("fc.weight", ())
    if len(stem) != 4 or len(logits) != 2 or f"layer4.1.conv2.{kind}.weight" not in shapes:
        return None
    if any(name.startswith(_LARGER) for name in shapes):
        return None
    return {"classes": logits[0], "in_channels": stem[1], "deploy": deploy}
