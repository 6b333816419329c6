"""The handwritten digits that train this package's small networks.

scikit-learn's copy of the UCI "Optical Recognition of Handwritten Digits" test set: 1797 grey
8×8 images, enlarged here to what a mobile CNN takes. The split into train, validation and
held-out parts is fixed for all seeds, so that figures from different runs compare.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import torch
from torch.nn import functional

from cnn_export.command_line.packages import require

Part = Literal["train", "validation", "held-out"]

CLASSES = 10
CHANNELS = 3
MEAN = (0.305,) * CHANNELS
STD = (0.324,) * CHANNELS
"""Mean and standard deviation of the enlarged train images, pixels in [0, 1]."""

_GREY_LEVELS = 16
_SPLIT_SEED = 2107_11170
_HELD_OUT_COUNT = 360
_VALIDATION_COUNT = 180


@dataclasses.dataclass(frozen=True)
class Digits:
    """Images (N, 3, size, size) float32 in [0, 1] and class indices (N,) int64."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


def load_digits(size_pixels: int) -> dict[Part, Digits]:
    """Return the parts of the digits, enlarged bilinearly to squares of ``size_pixels``.

    Raises:
        ModuleNotFoundError: scikit-learn is missing; holds the install line.
    """
    raw: Any = _sklearn_digits()
    grey = torch.from_numpy(raw.images).float().unsqueeze(1) / _GREY_LEVELS
    labels = torch.from_numpy(raw.target).long()
    enlarged = functional.interpolate(
        grey, size=(size_pixels, size_pixels), mode="bilinear", align_corners=False
    )
    images = enlarged.repeat(1, CHANNELS, 1, 1)
    return {
        part: Digits(images[chosen], labels[chosen]) for part, chosen in split(len(images)).items()
    }


def split(count: int) -> dict[Part, torch.Tensor]:
    """Return the image indices (int64) of each part of ``count`` images; disjoint and complete."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(_SPLIT_SEED))
    sizes = [count - _VALIDATION_COUNT - _HELD_OUT_COUNT, _VALIDATION_COUNT, _HELD_OUT_COUNT]
    train, validation, held_out = order.split(sizes)
    return {"train": train, "validation": validation, "held-out": held_out}


def normalize(images: torch.Tensor) -> torch.Tensor:
    """Return ``(images - MEAN) / STD`` per channel of images (N, 3, H, W) in [0, 1]."""
    mean = images.new_tensor(MEAN).reshape(CHANNELS, 1, 1)
    return (images - mean) / images.new_tensor(STD).reshape(CHANNELS, 1, 1)


def augment(
    images: torch.Tensor,
    *,
    degrees: float = 10.0,
    shift: float = 0.1,
    scale: float = 0.1,
) -> torch.Tensor:
    """Rotate, move and resize each image (N, C, H, W) a little, with torch's global generator.

    ``shift`` and ``scale`` are fractions of the image; uncovered corners become 0, the ink-free
    background.
    """
    count = len(images)
    angle = _uniform(count, math.radians(degrees))
    zoom = 1 + _uniform(count, scale)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    # The grid runs from -1 to 1, so a fraction of the image is twice as long there.
    across, down = _uniform(count, 2 * shift), _uniform(count, 2 * shift)
    rows = [torch.stack(row, dim=1) for row in ((cos, -sin, across), (sin, cos, down))]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def _uniform(count: int, limit: float) -> torch.Tensor:
    return (2 * torch.rand(count) - 1) * limit


def _sklearn_digits() -> Any:
    require("train", ["scikit-learn"])
    from sklearn import datasets

    return datasets.load_digits()
