"""Default boxes of a single-shot detector (SSD, arXiv 1512.02325, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch

ASPECTS = (2.0, 3.0)
SCALES = (0.2, 0.95)
"""Side of the smallest and largest default box, in shares of the image (SSDLite320's)."""


def anchors_per_pixel(aspects: Sequence[float] = ASPECTS) -> int:
    """Return the boxes at each feature pixel: two squares, and each aspect upright and lying."""
    return 2 + 2 * len(aspects)


def default_boxes(
    map_sizes: Sequence[tuple[int, int]],
    scales: tuple[float, float] = SCALES,
    aspects: Sequence[float] = ASPECTS,
) -> torch.Tensor:
    """Return (boxes, 4) float32 boxes as (center x, center y, width, height), shares of the image.

    ``map_sizes`` are (height, width) of the feature maps, finest first. Box sides grow linearly
    from map to map; the second square has the geometric mean of its map's side and the next one's.
    Order: map, row, column, box.

    Raises:
        ValueError: fewer than two maps, or scales that do not grow within (0, 1].
    """
    smallest, largest = scales
    if len(map_sizes) < 2 or not 0 < smallest < largest <= 1:
        raise ValueError(
            f"default boxes need two or more maps and growing scales within 1, got"
            f" {len(map_sizes)} and {scales}"
        )
    step = (largest - smallest) / (len(map_sizes) - 1)
    sides = [smallest + step * index for index in range(len(map_sizes))] + [1.0]
    boxes = [
        _of_map(size, _shapes(side, following, aspects))
        for size, (side, following) in zip(map_sizes, pairwise(sides), strict=True)
    ]
    return torch.cat(boxes).float()


def _shapes(side: float, following: float, aspects: Sequence[float]) -> torch.Tensor:
    between = (side * following) ** 0.5
    shapes = [(side, side), (between, between)]
    for aspect in aspects:
        wide, narrow = side * aspect**0.5, side / aspect**0.5
        shapes += [(wide, narrow), (narrow, wide)]
    return torch.tensor(shapes, dtype=torch.float64).clamp(max=1)


def _of_map(size: tuple[int, int], shapes: torch.Tensor) -> torch.Tensor:
    height, width = size
    rows = (torch.arange(height, dtype=torch.float64) + 0.5) / height
    columns = (torch.arange(width, dtype=torch.float64) + 0.5) / width
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    centers = torch.stack([x, y], dim=-1).reshape(-1, 1, 2).expand(-1, len(shapes), 2)
    sides = shapes.expand(len(centers), -1, 2)
    return torch.cat([centers, sides], dim=-1).reshape(-1, 4)
