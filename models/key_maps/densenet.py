"""DenseNets that are torchvision's but for their names (arXiv 1608.06993)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cnn_export.models.key_map import KeyMap, Mapped, Rule
from cnn_export.models.registry import Shapes

_LAYERS = {"121": (24, 16), "161": (36, 24), "169": (32, 32), "201": (48, 32)}
"""Layers of the third and fourth block, by which the published depths differ."""


def _detector(marker: str, norm: str) -> Callable[[Shapes], Iterator[Mapped]]:
    def detect(shapes: Shapes) -> Iterator[Mapped]:
        if marker not in shapes:
            return
        layers = tuple(_last_layer(shapes, block, norm) for block in (3, 4))
        for depth, published in _LAYERS.items():
            if layers == published:
                yield Mapped(f"torchvision:densenet{depth}")

    return detect


def _last_layer(shapes: Shapes, block: int, norm: str) -> int:
    layer = 0
    while f"features.denseblock{block}.denselayer{layer + 1}.{norm}.weight" in shapes:
        layer += 1
    return layer


KEY_MAPS = (
    KeyMap(
        layout="torchvision's first DenseNet files",
        source="pytorch/vision, torchvision/models/densenet.py, which renames them on download",
        rules=(Rule(r"(\.denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),),
        detect=_detector("features.denseblock1.denselayer1.norm.1.weight", "norm.1"),
    ),
    KeyMap(
        layout="gpleiss/efficient_densenet_pytorch",
        source="gpleiss/efficient_densenet_pytorch@d2d0629dae2912ec4f0444fab5e3df4c375c44fd",
        rules=(Rule(r"^features\.norm_final\.", "features.norm5."),),
        detect=_detector("features.norm_final.weight", "norm1"),
    ),
)
