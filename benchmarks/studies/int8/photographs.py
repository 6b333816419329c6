"""Crops of the photographs that scikit-image and scikit-learn bring along, as image folders.

Crops of one photograph are alike, so none calibrates what another is judged by: the photographs are
dealt out into folds, each judged by a network that was calibrated on the other folds alone. For the
same reason the intervals of shares over crops are narrower than those over as many photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from cnn_export.command_line.packages import require

Part = Literal["calibration", "judging"]
FOLDS = 3

_SCIKIT_IMAGE = (
    "astronaut", "brick", "camera", "cell", "chelsea", "clock", "coffee", "coins", "grass",
    "gravel", "hubble_deep_field", "immunohistochemistry", "moon", "retina", "rocket",
)  # fmt: skip
_SCIKIT_LEARN = ("china", "flower")
_STEREO = "motorcycle"
_SEEDS: dict[Part, int] = {"calibration": 1, "judging": 2}
_SMALLEST_SHARE = 0.35
"""Of the photograph's shorter side."""


def names(part: Part, fold: int) -> Sequence[str]:
    """Return the photographs that judge a fold, every third by name, or all others."""
    every: Sequence[str] = sorted((*_SCIKIT_IMAGE, *_SCIKIT_LEARN, _STEREO))
    judging = every[fold::FOLDS]
    return judging if part == "judging" else [name for name in every if name not in judging]


def write_crops(folder: Path, part: Part, fold: int, count: int, size_pixels: int) -> Path:
    """Write ``count`` square crops of the part's photographs in turn, half of them mirrored.

    Raises:
        TargetUnavailable: scikit-image or scikit-learn is not installed.
    """
    folder.mkdir()
    generator = np.random.default_rng((_SEEDS[part], fold))
    photographs = {name: _photograph(name) for name in names(part, fold)}
    for index in range(count):
        name = names(part, fold)[index % len(photographs)]
        crop = _crop(photographs[name], generator)
        resized = crop.resize((size_pixels, size_pixels), Image.Resampling.BILINEAR)
        resized.save(folder / f"{index:04}_{name}.png")
    return folder


def _crop(photograph: Image.Image, generator: np.random.Generator) -> Image.Image:
    width, height = photograph.size
    side = int(generator.uniform(_SMALLEST_SHARE, 1) * min(width, height))
    left = int(generator.integers(0, width - side + 1))
    upper = int(generator.integers(0, height - side + 1))
    cropped = photograph.crop((left, upper, left + side, upper + side))
    mirrored = generator.random() < 0.5
    return cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else cropped


def _photograph(name: str) -> Image.Image:
    if name in _SCIKIT_LEARN:
        require("train", ["scikit-learn"])
        from sklearn import datasets

        learn: Any = datasets
        return Image.fromarray(learn.load_sample_image(f"{name}.jpg"))
    require("dev", ["scikit-image"])
    from skimage import data

    image: Any = data
    pixels = image.stereo_motorcycle()[0] if name == _STEREO else getattr(image, name)()
    return Image.fromarray(pixels).convert("RGB")
