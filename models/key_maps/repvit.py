"""RepViT's authors (arXiv 2307.09283), trained and deployed: timm's ``repvit_*``.

Theirs is one list of blocks; timm's stages hold all but those around a change of size, which are
its ``downsample``.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

from cnn_export.models.key_map import KeyMap, Mapped, Rule
from cnn_export.models.registry import Shapes


@dataclasses.dataclass(frozen=True)
class _Variant:
    """``depths`` are timm's; ``legacy`` has a batch norm behind the 1×1 branch, not the sum."""

    name: str
    width: int
    depths: tuple[int, int, int, int]
    legacy: bool = False
    arguments: tuple[tuple[str, Any], ...] = ()

    @property
    def blocks(self) -> int:
        """Entries of the authors' list behind the stem."""
        return sum(self.depths) + 6


_SMALLEST = (("embed_dim", (40, 80, 160, 320)), ("depth", (1, 1, 8, 1)))
_VARIANTS = (
    _Variant("repvit_m0_9", 40, (1, 1, 8, 1), arguments=_SMALLEST),  # the authors' m0_6
    _Variant("repvit_m0_9", 48, (2, 2, 14, 2)),
    _Variant("repvit_m1_0", 56, (2, 2, 14, 2)),
    _Variant("repvit_m1_1", 64, (2, 2, 12, 2)),
    _Variant("repvit_m1_5", 64, (4, 4, 24, 4)),
    _Variant("repvit_m2_3", 80, (6, 6, 34, 2)),
    _Variant("repvit_m1", 48, (2, 2, 14, 2), legacy=True),
    _Variant("repvit_m2", 64, (2, 2, 12, 2), legacy=True),
    _Variant("repvit_m3", 64, (4, 4, 18, 2), legacy=True),
)


def _detect(variants: list[_Variant], shapes: Shapes) -> Iterator[Mapped]:
    deployed = "features.1.token_mixer.0.weight" in shapes
    if not deployed and "features.1.token_mixer.0.conv.c.weight" not in shapes:
        return
    legacy = "features.1.token_mixer.0.conv1.c.weight" in shapes
    kernel = "weight" if deployed else "c.weight"
    stem = shapes.get(f"features.0.2.{kernel}", ())
    sizes = [len(shapes.get(name, ())) for name in ("classifier.weight", "features.0.0.weight")]
    if len(stem) != 4 or (deployed and sizes != [2, 4]):
        return
    for variant in variants:
        last = f"features.{variant.blocks}.channel_mixer.m.0.{kernel}"
        beyond = f"features.{variant.blocks + 1}.channel_mixer.m.0.{kernel}"
        fits = stem[0] == variant.width and last in shapes and beyond not in shapes
        if fits and (deployed or variant.legacy == legacy):
            arguments = dict(variant.arguments) | _form(shapes, deployed)
            twins = _twins(variant, variants) if deployed else ()
            yield Mapped(f"timm:{variant.name}", arguments, twins)
            return


def _twins(variant: _Variant, variants: list[_Variant]) -> tuple[str, ...]:
    """Deployed, a legacy network computes what the later one of its sizes does."""
    return tuple(v.name for v in variants if v is not variant and v.width == variant.width)


def _form(shapes: Shapes, deployed: bool) -> dict[str, Any]:
    if deployed:
        logits, first = shapes["classifier.weight"], shapes["features.0.0.weight"]
        return {
            "reparameterized": True,
            "num_classes": logits[0],
            "in_chans": first[1],
        }
    distilled = "classifier.classifier_dist.l.weight" in shapes
    return {} if distilled else {"distillation": False}


def _places(depths: tuple[int, ...]) -> Iterator[str]:
    """Yield where timm has each entry of the authors' list behind the stem."""
    for stage, depth in enumerate(depths):
        if stage:
            yield f"stages.{stage}.downsample."
        yield from (f"stages.{stage}.blocks.{block}." for block in range(depth))
        if stage + 1 < len(depths):
            yield f"stages.{stage + 1}.downsample.pre_block."


def _rules(depths: tuple[int, ...]) -> tuple[Rule, ...]:
    places = enumerate(_places(depths), start=1)
    return (
        Rule(r"^features\.0\.0\.", "stem.conv1."),
        Rule(r"^features\.0\.2\.", "stem.conv2."),
        *(Rule(rf"^features\.{place}\.", network) for place, network in places),
        Rule(r"(\.downsample\.)token_mixer\.0\.", r"\1spatial_downsample."),
        Rule(r"(\.downsample\.)token_mixer\.2\.", r"\1channel_downsample."),
        Rule(r"(\.downsample\.)channel_mixer\.", r"\1ffn."),
        Rule(r"\.token_mixer\.0\.", ".token_mixer."),
        Rule(r"\.token_mixer\.1\.", ".se."),
        Rule(r"\.m\.0\.", ".conv1."),
        Rule(r"\.m\.2\.", ".conv2."),
        Rule(r"^classifier\.classifier", "head.head"),
        Rule(r"^classifier\.", "head."),
    )


def _key_map(depths: tuple[int, ...]) -> KeyMap:
    return KeyMap(
        layout="THU-MIG/RepViT",
        source="THU-MIG/RepViT@298f42075eda5d2e6102559fad260c970769d34e",
        rules=_rules(depths),
        detect=functools.partial(_detect, [v for v in _VARIANTS if v.depths == depths]),
    )


KEY_MAPS = tuple(_key_map(depths) for depths in dict.fromkeys(v.depths for v in _VARIANTS))
