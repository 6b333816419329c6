"""Table and detector of the VGGs of kuangliu/pytorch-cifar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

INPUT = (3, 32, 32)
CHANNELS = (64, 128, 256, 512, 512)
"""Channels of the five stages; behind each the map is halved by a max pool."""
REPEATS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Convolutions of each stage, by depth (arXiv 1409.1556, Table 1)."""

PUBLISHED = (
    Published(
        "cifar_vgg16",
        {"depth": 16},
        "kuangliu/pytorch-cifar README.md",
        top1_percent=92.64,
        input_size=INPUT,
    ),
)


def convolutions(depth: int) -> Iterator[tuple[int, int]]:
    """Yield each convolution's place in ``features`` and its output channels."""
    place = 0
    for channels, repeats in zip(CHANNELS, REPEATS[depth], strict=True):
        for _ in range(repeats):
            yield place, channels
            place += 3  # the convolution, its batch norm and its ReLU
        place += 1  # the pool


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``cifar_vgg``'s arguments for these tensors, or None for another network's."""
    stem, logits = shapes.get("features.0.weight", ()), shapes.get("classifier.weight", ())
    if len(stem) != 4 or len(logits) != 2 or "features.1.running_mean" not in shapes:
        return None
    names = ((place, f"features.{place}.weight") for place in range(_PLACES))
    found = {(i, shapes[name][0]) for i, name in names if len(shapes.get(name, ())) == 4}
    depth = next((depth for depth in REPEATS if set(convolutions(depth)) == found), None)
    if depth is None:
        return None
    return {"depth": depth, "classes": logits[0], "in_channels": stem[1]}


_PLACES = 1 + max(place for depth in REPEATS for place, _ in convolutions(depth)) + 3
