"""Raw pixels for a network that expects normalized ones: which normalization, and of which image.

An image package is fed whole pixels by the system's camera and photo interfaces, and ``normalize``
asks for the same of any artifact: what a caller would have computed has to be inside. The graph
gets it from :class:`~cnn_export.reparam.passes.affine.normalize_pixels.NormalizePixels`; the
reference does not: there the checkpoint is called as its own callers do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from cnn_export.errors import UsageError
from cnn_export.program.normalization import Normalization, parse_normalization

_WHITE = 255.0
_IMAGE_RANK = 4


Caller = Callable[[torch.Tensor], torch.Tensor]
"""What is done to an image before the network sees it."""


class FromPixels(nn.Module):
    """network(image), or network(caller(image)); its one argument is called ``image``."""

    network: nn.Module

    def __init__(self, network: nn.Module, caller: Caller | None = None) -> None:
        super().__init__()
        self.network = network
        self.caller = caller

    def forward(self, image: torch.Tensor) -> object:
        """Return what the network returns."""
        return self.network(image if self.caller is None else self.caller(image))


def caller_of(normalization: Normalization) -> Caller:
    """Return ``(image / 255 − mean) / std``, in the image's dtype: what the checkpoint expects."""
    mean, std = (
        torch.tensor(each, dtype=torch.float64).reshape(1, -1, 1, 1)
        for each in (normalization.mean, normalization.std)
    )

    def normalized(image: torch.Tensor) -> torch.Tensor:
        return (image / _WHITE - mean.to(image.dtype)) / std.to(image.dtype)

    return normalized


def rounded_caller_of(normalization: Normalization) -> Caller:
    """Return the same with the numbers that an artifact stores: ``image·scale + offset``."""
    scale, offset = (each.reshape(1, -1, 1, 1) for each in scale_and_offset(normalization))

    def normalized(image: torch.Tensor) -> torch.Tensor:
        return image * scale + offset

    return normalized


def scale_and_offset(normalization: Normalization) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``1 / (255 std)`` and ``−mean / std`` in float32, as an artifact stores them."""
    mean, std = (
        torch.tensor(each, dtype=torch.float32) for each in (normalization.mean, normalization.std)
    )
    return 1 / (_WHITE * std), -mean / std


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
    elif not _is_representable(normalization):
        fault = "is too large or too small for float32"
    else:
        return normalization
    raise UsageError(f"normalize {text!r} {fault}; give 'imagenet' or 'MEAN,…/STD,…'")


def _is_representable(normalization: Normalization) -> bool:
    scale, offset = scale_and_offset(normalization)
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
