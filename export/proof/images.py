"""A user's image as the values of one input: the one reader of probes and of calibration data."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from cnn_export.errors import InputRefused
from cnn_export.program.normalization import Normalization
from cnn_export.program.tensors import Array, TensorSpec

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"
)  # fmt: skip
"""How the names of image files end, in lower case."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
"""Of what Pillow opens; some other formats start programs."""
_CHANNELS = (1, 3)
_RANK, _RGB = 4, 3
_WHITE = 255.0
_GREY_MODES = ("1", "L", "LA")
_PHONE_SERIES = "MPO"
"""A JPEG with a preview or a second view behind it, as phones write: the first is the picture."""


@dataclasses.dataclass(frozen=True)
class ImageForm:
    """What an input takes of an image: its size, and what happens to its values.

    Values are ``(pixel / 255 − mean) / std``, or pixels / 255 without ``normalization``; with
    ``pixels`` whole numbers 0 to 255.
    """

    channels: int
    height: int
    width: int
    normalization: Normalization | None
    pixels: bool


@dataclasses.dataclass(frozen=True)
class ReadImage:
    """``values`` (1, channels, height, width) float32; whether grey became RGB or RGB grey."""

    values: Array
    converted: bool


def image_form(
    path: Path, spec: TensorSpec, normalization: Normalization | None, *, pixels: bool
) -> ImageForm:
    """Return how an image becomes the values of ``spec``.

    Raises:
        InputRefused: it takes no images of one or three channels; names ``path``.
    """
    if len(spec.shape) != _RANK or spec.shape[1] not in _CHANNELS:
        raise InputRefused(
            f"the sample {path} is read as an image, but {spec.name!r} takes {list(spec.shape)}; "
            "give a .npy or .npz file"
        )
    channels, height, width = spec.shape[1:]
    return ImageForm(channels, height, width, normalization, pixels)


def read_image(file: BinaryIO, form: ImageForm) -> ReadImage:
    """Return an image, resized bilinearly to the input; whichever its size, the whole of it.

    Grey becomes three equal channels, colour becomes grey where the input has one channel, of 16
    bits of colour the upper 8 are taken, transparency is left out.

    Raises:
        ValueError: several frames, or grey values of more than 8 bits.
        Exception: whatever Pillow raises of a damaged or oversized image.
    """
    from PIL import Image

    with warnings.catch_warnings():
        # Pillow warns of 90 megapixels and raises at 180: decoded, they are 270 MB.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file, formats=_FORMATS) as image:
            _require_plain(image)
            converted = (image.mode in _GREY_MODES) is (form.channels == _RGB)
            plain = image.convert("RGB" if form.channels == _RGB else "L")
    resized = plain.resize((form.width, form.height), Image.Resampling.BILINEAR)
    return ReadImage(_values(np.asarray(resized), form), converted)


def _require_plain(image: Image.Image) -> None:
    frames = 1 if image.format == _PHONE_SERIES else getattr(image, "n_frames", 1)
    if frames != 1:
        raise ValueError(f"it holds {frames} frames, not one image")
    # Pillow's conversion clips these to white.
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"its grey values have more than 8 bits (mode {image.mode})")


def _values(pixels: Array, form: ImageForm) -> Array:
    values = pixels.reshape(form.height, form.width, -1).transpose(2, 0, 1)[None]
    if form.pixels:
        return np.ascontiguousarray(values, dtype=np.float32)
    values = values / _WHITE
    if form.normalization is not None:
        mean, std = (
            np.reshape(each, (1, -1, 1, 1))
            for each in (form.normalization.mean, form.normalization.std)
        )
        values = (values - mean) / std
    return np.ascontiguousarray(values, dtype=np.float32)
