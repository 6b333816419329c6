"""The families that are exported whole, with every kind of block they have.

Apart from ``networks.py``, as torchvision takes a second to import: processes that tests start load
their networks from there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torchvision
from effort import THOROUGH
from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidualConfig
from torchvision.models.resnet import BasicBlock

from cnn_export.models.families.skipnet import SkipNet, skipnet
from cnn_export.models.families.skipnet_table import table

CLASSES = 11


def _mobilenet_v2() -> nn.Module:
    """Without and with expansion, with and without shortcut, both strides."""
    blocks = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2]]
    return torchvision.models.MobileNetV2(CLASSES, 0.35, inverted_residual_setting=blocks)


def _mobilenet_v3() -> nn.Module:
    """ReLU and hard-swish, with and without squeeze-excite, both kernels and strides."""
    blocks = [
        InvertedResidualConfig(16, 3, 16, 16, True, "RE", 2, 1, 1.0),
        InvertedResidualConfig(16, 3, 72, 24, False, "RE", 2, 1, 1.0),
        InvertedResidualConfig(24, 5, 96, 40, True, "HS", 2, 1, 1.0),
        InvertedResidualConfig(40, 5, 240, 40, True, "HS", 1, 1, 1.0),
    ]
    return torchvision.models.MobileNetV3(blocks, 1024, CLASSES)


def _shufflenet_v2() -> nn.Module:
    """Each stage's unit with stride and one without."""
    widths = [24, 48, 96, 192, 1024]
    return torchvision.models.ShuffleNetV2([2, 2, 2], widths, num_classes=CLASSES)


def _resnet() -> nn.Module:
    """Both shortcuts: the identity in the first stage, a convolution in the others."""
    return torchvision.models.ResNet(BasicBlock, [1, 1, 1, 1], CLASSES)


def _skipnet() -> nn.Module:
    """Both skip blocks, and of the trunk: both kernels, activations and strides, a residual."""
    whole = table(0.25)
    first, second, third, last = whole.stages
    stages = ((first[0], first[2]), second[:1], third[:1], last[:2])
    return SkipNet(dataclasses.replace(whole, stages=stages), CLASSES, 3)


_WHOLE: dict[str, Callable[[], nn.Module]] = {
    "mobilenet_v2": lambda: torchvision.models.mobilenet_v2(width_mult=0.35, num_classes=CLASSES),
    "mobilenet_v3_small": lambda: torchvision.models.mobilenet_v3_small(num_classes=CLASSES),
    "shufflenet_v2_x0_5": lambda: torchvision.models.shufflenet_v2_x0_5(num_classes=CLASSES),
    "resnet18": lambda: torchvision.models.resnet18(num_classes=CLASSES),
    "skipnet": lambda: skipnet(width=0.25, classes=CLASSES),
}
_EACH_KIND_OF_BLOCK: dict[str, Callable[[], nn.Module]] = {
    "mobilenet_v2": _mobilenet_v2,
    "mobilenet_v3_small": _mobilenet_v3,
    "shufflenet_v2_x0_5": _shufflenet_v2,
    "resnet18": _resnet,
    "skipnet": _skipnet,
}
FAMILIES = _WHOLE if THOROUGH else _EACH_KIND_OF_BLOCK
"""Networks by family: by default with few blocks, as each of them takes its time to convert."""
