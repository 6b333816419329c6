"""torchvision's ResNet-18 with an asymmetric block per convolution (arXiv 1908.03930).

What :func:`~cnn_export.models.parts.acb_convert.acb_convert` makes of it; the authors' own layout
is ``acnet``.
"""

from __future__ import annotations

from torch import nn

from cnn_export.models.families.resnet18_acb_table import detect
from cnn_export.models.parts.acb_block import ACBlock
from cnn_export.models.parts.acb_convert import acb_convert
from cnn_export.models.registry import register_model

_STEM_CHANNELS = 64


@register_model(source="arXiv 1908.03930", detect=detect, former_names=("acnet_resnet18",))
def resnet18_acb(classes: int = 1000, in_channels: int = 3, deploy: bool = False) -> nn.Module:
    """ResNet-18 with asymmetric blocks, in training form or with one ``fused_conv`` per block.

    Every 3×3 convolution and the 7×7 stem is a block that holds its batch norm; tensor names are
    torchvision's with the block's inside: ``layer1.0.conv1.square_conv.weight``. Deployed, it has
    ResNet-18's 1.8 G multiply-accumulates on 224x224.

    Raises:
        ValueError: ``classes`` or ``in_channels`` is not positive.
    """
    if classes < 1 or in_channels < 1:
        raise ValueError(
            f"resnet18_acb needs classes and in_channels, got {classes} and {in_channels}"
        )
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
