"""SSDLite (MobileNetV2, arXiv 1801.04381, section 6.2): SSD with separable convolutions.

The finest map has stride 8, where SSDLite320 begins at 16: small objects are the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from cnn_export.models.parts.feature_taps import feature_taps
from cnn_export.models.registry import architectures
from cnn_export.models.ssdlite.anchors import anchors_per_pixel, default_boxes

STRIDES = (8, 16, 32)
EXTRA_CHANNELS = (512, 256)
"""Channels of the maps behind the backbone, each half of the size before. With three of the
backbone that makes five maps: TFLite's delegate takes concatenations of five at most."""
_INITIAL_STD = 0.03


class SSDLite(nn.Module):
    """A backbone's feature maps, further maps behind them, and two separable heads per map."""

    def __init__(
        self,
        backbone: nn.Module,
        classes: int,
        *,
        input_size: tuple[int, int] = (320, 320),
        in_channels: int = 3,
        strides: Sequence[int] = STRIDES,
        extra_channels: Sequence[int] = EXTRA_CHANNELS,
    ) -> None:
        """Build the heads; ``classes`` includes the background, which is class 0.

        Raises:
            ValueError: fewer than two classes, or the backbone has no map of one of the strides.
        """
        super().__init__()
        if classes < 2:
            raise ValueError(f"a detector needs a background and a class, got {classes} classes")
        self.classes, self.input_size = classes, input_size
        self.backbone = feature_taps(
            backbone, strides, input_size=input_size, in_channels=in_channels
        )
        tapped = [tap.channels for tap in self.backbone.taps]
        widths = [*tapped, *extra_channels]
        self.extra = nn.ModuleList(
            _further_map(*pair) for pair in pairwise(widths[len(tapped) - 1 :])
        )
        boxes = anchors_per_pixel()
        self.scores = nn.ModuleList(_separable(width, boxes * classes) for width in widths)
        self.boxes = nn.ModuleList(_separable(width, boxes * 4) for width in widths)
        for head in (self.extra, self.scores, self.boxes):
            head.apply(_initialize)
        # Saved, and named by the size: the weights of another size do not fit then.
        self._anchors_name = "anchors_" + "x".join(map(str, input_size))
        self.register_buffer(self._anchors_name, default_boxes(self._map_sizes()))

    @property
    def anchors(self) -> torch.Tensor:
        """The (boxes, 4) boxes of :func:`~cnn_export.models.ssdlite.anchors.default_boxes`."""
        return self.get_buffer(self._anchors_name)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what :func:`~cnn_export.models.ssdlite.detections.detections` takes.

        That is, of an image (N, C, H, W) of the built size: offsets (N, boxes, 4) from the
        default boxes, logits (N, boxes, classes), and the default boxes (boxes, 4) themselves, a
        constant, so that the file holds all that a phone needs.

        Raises:
            ValueError: the image has another size than the default boxes.
        """
        if tuple(image.shape[-2:]) != self.input_size:
            wanted = "x".join(map(str, self.input_size))
            got = "x".join(map(str, image.shape[-2:]))
            raise ValueError(f"this detector was built for images of {wanted}, got {got}")
        maps = self.backbone(image)
        for further in self.extra:
            maps.append(further(maps[-1]))
        offsets = [_by_box(head(each), 4) for head, each in zip(self.boxes, maps, strict=True)]
        logits = [
            _by_box(head(each), self.classes) for head, each in zip(self.scores, maps, strict=True)
        ]
        return torch.cat(offsets, 1), torch.cat(logits, 1), self.anchors

    def _map_sizes(self) -> list[tuple[int, int]]:
        height, width = self.input_size
        sizes = [(-(-height // tap.stride), -(-width // tap.stride)) for tap in self.backbone.taps]
        for _ in self.extra:
            height, width = sizes[-1]
            sizes.append((-(-height // 2), -(-width // 2)))
        return sizes


def ssdlite(
    backbone: str = "skipnet",
    classes: int = 91,
    image_height: int = 320,
    image_width: int = 320,
    **backbone_arguments: Any,
) -> SSDLite:
    """SSDLite on a family of this package, for images of image_height x image_width pixels.

    Raises:
        ValueError: no such family; lists them. Or an argument of the family that no tensor shows
            is not given. Or as :class:`SSDLite`.
    """
    families = architectures()
    if backbone not in families:
        raise ValueError(f"no network {backbone!r} to build on; there are {', '.join(families)}")
    unsaid = [n for n in families[backbone].unrecorded if n not in backbone_arguments]
    if unsaid:
        raise ValueError(f"{backbone} needs {unsaid[0]}: nothing in its weights shows it")
    network = families[backbone].build(**backbone_arguments)
    return SSDLite(network, classes, input_size=(image_height, image_width))


def _by_box(maps: torch.Tensor, values: int) -> torch.Tensor:
    """(N, boxes·values, h, w) → (N, h·w·boxes, values), in the order of the default boxes."""
    return maps.permute(0, 2, 3, 1).reshape(maps.shape[0], -1, values)


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        *_conv_norm_relu(inputs, inputs, kernel=3, groups=inputs), nn.Conv2d(inputs, outputs, 1)
    )


def _further_map(inputs: int, outputs: int) -> nn.Sequential:
    hidden = outputs // 2
    return nn.Sequential(
        *_conv_norm_relu(inputs, hidden),
        *_conv_norm_relu(hidden, hidden, kernel=3, stride=2, groups=hidden),
        *_conv_norm_relu(hidden, outputs),
    )


def _conv_norm_relu(
    inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(outputs), nn.ReLU6()


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=_INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
