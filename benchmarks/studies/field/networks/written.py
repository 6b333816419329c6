"""The written networks by name, with the shapes of their inputs. Loads torch: for workers only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import nn

from cnn_export.benchmarks.studies.field.networks.blazeface import BlazeFace
from cnn_export.benchmarks.studies.field.networks.crnn import Crnn
from cnn_export.benchmarks.studies.field.networks.depth_decoder import DepthDecoder
from cnn_export.benchmarks.studies.field.networks.five_heads import FiveHeads
from cnn_export.benchmarks.studies.field.networks.fsrcnn import Fsrcnn
from cnn_export.benchmarks.studies.field.networks.hourglass import StackedHourglass
from cnn_export.benchmarks.studies.field.networks.pfld import Pfld
from cnn_export.benchmarks.studies.field.networks.siamese import SiamFc
from cnn_export.benchmarks.studies.field.networks.style import Style
from cnn_export.benchmarks.studies.field.networks.tc_resnet import TcResNet
from cnn_export.benchmarks.studies.field.networks.unet import UNet
from cnn_export.benchmarks.studies.field.networks.yolo import Yolo


@dataclasses.dataclass(frozen=True)
class Written:
    """A network and the shapes that it is exported at, in the order of its arguments."""

    build: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]


def _image(build: Callable[[], nn.Module], height: int, width: int, channels: int = 3) -> Written:
    return Written(build, ((1, channels, height, width),))


WRITTEN: dict[str, Written] = {
    "yolo": _image(Yolo, 32, 64),
    "unet": _image(UNet, 32, 48),
    "blazeface": _image(BlazeFace, 64, 64),
    "pfld": _image(Pfld, 64, 48),
    "fsrcnn": _image(Fsrcnn, 24, 32, channels=1),
    "tc_resnet": Written(TcResNet, ((1, 40, 98),)),
    "crnn": _image(Crnn, 32, 64, channels=1),
    "style": _image(Style, 32, 48),
    "hourglass": _image(StackedHourglass, 32, 64),
    "siamese": Written(SiamFc, ((1, 3, 63, 63), (1, 3, 111, 111))),
    "depth_decoder": _image(DepthDecoder, 32, 64),
    "five_heads": _image(FiveHeads, 32, 64),
}
