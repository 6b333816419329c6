"""A network that takes raw pixels: the checkpoint's normalization as part of the network.

network(x)  ⇒  network((x / 255 − mean) / std)

An image package is fed whole pixels by the system's camera and photo interfaces, and ``normalize``
asks for the same of any artifact: what a caller would have computed has to be inside. Artifact and
reference both start from this module; the reparameterization stage folds it into what follows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from cnn_export.errors import UsageError
from cnn_export.program.normalization import Normalization, parse_normalization

_WHITE = 255.0
_IMAGE_RANK = 4


class FromPixels(nn.Module):
    """Normalizes an image of shape (batch, channels, height, width), values 0 to 255."""

    network: nn.Module
    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        scale, offset = _scale_and_offset(normalization.mean, normalization.std)
        self.network = network
        self.register_buffer("scale", scale.reshape(1, -1, 1, 1))
        self.register_buffer("offset", offset.reshape(1, -1, 1, 1))

    def forward(self, image: torch.Tensor) -> object:
        """Return what the network returns for the normalized image."""
        return self.network(image * self.scale + self.offset)


def _scale_and_offset(
    mean: Sequence[float], std: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``1 / (255 std)`` and ``−mean / std``, float32, for (pixel / 255 − mean) / std."""
    means, stds = (torch.tensor(each, dtype=torch.float32) for each in (mean, std))
    return 1 / (_WHITE * stds), -means / stds


def usable_normalization(text: str) -> Normalization:
    """Return the normalization of a text, if it can be computed.

    Raises:
        UsageError: unknown text, not one std per mean, not finite, a std that is not positive, or
            numbers that float32 cannot hold.
    """
    normalization = parse_normalization(text)
    mean, std = normalization.mean, normalization.std
    if len(mean) != len(std):
        fault = f"has {len(mean)} means and {len(std)} standard deviations"
    elif not all(map(math.isfinite, (*mean, *std))):
        fault = "is not finite"
    elif min(std) <= 0:
        fault = "has a standard deviation that is not above 0"
    elif not _is_representable(mean, std):
        fault = "is too large or too small for float32"
    else:
        return normalization
    raise UsageError(f"normalize {text!r} {fault}; give 'imagenet' or 'MEAN,…/STD,…'")


def _is_representable(mean: Sequence[float], std: Sequence[float]) -> bool:
    scale, offset = _scale_and_offset(mean, std)
    return bool(scale.isfinite().all() and scale.all() and offset.isfinite().all())


def refuse_no_image(normalization: Normalization, examples: Sequence[torch.Tensor]) -> None:
    """Check that the network takes one image that the statistics fit.

    Raises:
        UsageError: several inputs, not (batch, channels, height, width), not floating, or another
            number of channels.
    """
    if len(examples) != 1:
        raise UsageError(
            f"normalize needs a network of one image input; this one takes {len(examples)}"
        )
    (image,) = examples
    if image.ndim != _IMAGE_RANK or not image.is_floating_point():
        dtype = str(image.dtype).removeprefix("torch.")
        raise UsageError(
            "normalize needs a floating image of shape (batch, channels, height, width); "
            f"this network takes {dtype} {list(image.shape)}"
        )
    if not normalization.fits(image.shape[1]):
        raise UsageError(
            f"normalize {normalization.text!r} has {len(normalization.mean)} means, but the image"
            f" has {image.shape[1]} "
            "channels; give one for each"
        )
