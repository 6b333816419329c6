"""DenseNets that are torchvision's but for their names (arXiv 1608.06993)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cnn_export.models.key_map import KeyMap, Mapped, Rule
from cnn_export.models.parts.blocks.stage_names import blocks_per_stage
from cnn_export.models.registry import Shapes

_LAYERS = {"121": (24, 16), "161": (36, 24), "169": (32, 32), "201": (48, 32)}
"""Layers of the third and fourth block, by which the published depths differ."""
_MOST_LAYERS = 49


def _detector(marker: str, norm: str) -> Callable[[Shapes], Iterator[Mapped]]:
    def detect(shapes: Shapes) -> Iterator[Mapped]:
        if marker not in shapes:
            return
        names = f"features.denseblock{{stage}}.denselayer{{block}}.{norm}.weight"
        layers = blocks_per_stage(shapes, names, 4, _MOST_LAYERS, first=1)[2:]
        for depth, published in _LAYERS.items():
            if layers == published:
                yield Mapped(f"torchvision:densenet{depth}")

    return detect


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
