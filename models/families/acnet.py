"""ACNet's ResNet-18: torchvision's, with an asymmetric block per convolution (arXiv 1908.03930)."""

from __future__ import annotations

from typing import Any

from torch import nn

from cnn_export.models.parts.acb_block import ACBlock
from cnn_export.models.parts.acb_convert import acb_convert
from cnn_export.models.registry import Shapes, register_model

_STEM = "conv1"
_STEM_CHANNELS = 64
_LARGER = ("layer4.2.", "layer4.1.conv3.")
"""Tensors that only ResNets with more or other blocks have."""


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``acnet_resnet18``'s arguments for these tensors, or None for another network's.

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


@register_model(source="arXiv 1908.03930", detect=detect)
def acnet_resnet18(classes: int = 1000, in_channels: int = 3, deploy: bool = False) -> nn.Module:
    """ResNet-18 with asymmetric blocks, in training form or with one ``fused_conv`` per block.

    Every 3×3 convolution and the 7×7 stem is a block that holds its batch norm; tensor names are
    torchvision's with the block's inside: ``layer1.0.conv1.square_conv.weight``. Deployed, it has
    ResNet-18's 1.8 G multiply-accumulates on 224x224.

    Raises:
        ValueError: ``classes`` or ``in_channels`` is not positive.
    """
    if classes < 1 or in_channels < 1:
        raise ValueError(f"ACNet needs classes and in_channels, got {classes} and {in_channels}")
    from torchvision.models import resnet18  # a second to import, for those who use it

    network = resnet18(num_classes=classes)
    network.conv1 = nn.Conv2d(in_channels, _STEM_CHANNELS, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    converted = acb_convert(network)
    return _deployed(converted) if deploy else converted


def _deployed(network: nn.Module) -> nn.Module:
    """Replace every block by an empty deployed one, for weights that are about to be loaded."""
    for owner in list(network.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, ACBlock):
                setattr(owner, name, _empty_deployed(child.square_conv))
    return network


def _empty_deployed(square: nn.Conv2d) -> ACBlock:
    (stride, _), (padding, _) = square.stride, square.padding
    return ACBlock(
        square.in_channels,
        square.out_channels,
        square.kernel_size[0],
        stride=stride,
        padding=int(padding),
        deploy=True,
    )
