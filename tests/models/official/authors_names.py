"""The authors' names for timm's or torchvision's: the key maps' inverse, written apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

Shapes = Mapping[str, tuple[int, ...]]

PARTS = {
    "apple/ml-mobileone": (
        (r"^stem\.", "stage0."),
        *((rf"^stages\.{i}\.", f"stage{i + 1}.") for i in range(4)),
        (r"\.conv_kxk\.", ".rbr_conv."),
        (r"\.conv_scale\.", ".rbr_scale."),
        (r"\.identity\.", ".rbr_skip."),
        (r"\.attn\.fc1\.", ".se.reduce."),
        (r"\.attn\.fc2\.", ".se.expand."),
        (r"^head\.fc\.", "linear."),
    ),
    "torchvision's first DenseNet files": (
        (r"(\.denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2."),
    ),
    "gpleiss/efficient_densenet_pytorch": ((r"^features\.norm5\.", "features.norm_final."),),
    "d-li14/mobilenetv2.pytorch": (
        (r"^features\.18\.", "conv."),
        (r"^features\.1\.conv\.2\.", "features.1.conv.4."),
        (r"^features\.1\.conv\.1\.", "features.1.conv.3."),
        (r"^features\.1\.conv\.0\.", "features.1.conv."),
        (r"^(features\.(?!1\.)\d+\.conv\.)3\.", r"\g<1>7."),
        (r"^(features\.(?!1\.)\d+\.conv\.)2\.", r"\g<1>6."),
        (r"^(features\.(?!1\.)\d+\.conv\.)1\.0\.", r"\g<1>3."),
        (r"^(features\.(?!1\.)\d+\.conv\.)1\.1\.", r"\g<1>4."),
        (r"^(features\.(?!1\.)\d+\.conv\.)0\.", r"\g<1>"),
        (r"^classifier\.1\.", "classifier."),
    ),
    "huawei-noah/Efficient-AI-Backbones": ((r"(_rpr_(?:conv\.\d|scale))\.bn1\.", r"\1.bn."),),
    "THU-MIG/RepViT": (
        (r"^stem\.conv1\.", "features.0.0."),
        (r"^stem\.conv2\.", "features.0.2."),
        (r"^(B\d+\.)token_mixer\.", r"\1token_mixer.0."),
        (r"^(B\d+\.)se\.", r"\1token_mixer.1."),
        (r"^(D\d+\.)spatial_downsample\.", r"\1token_mixer.0."),
        (r"^(D\d+\.)channel_downsample\.", r"\1token_mixer.2."),
        (r"^(D\d+\.)ffn\.", r"\1channel_mixer."),
        (r"\.channel_mixer\.conv1\.", ".channel_mixer.m.0."),
        (r"\.channel_mixer\.conv2\.", ".channel_mixer.m.2."),
        (r"^[BD](\d+)\.", r"features.\1."),
        (r"^head\.head", "classifier.classifier"),
        (r"^head\.", "classifier."),
    ),
}


def in_authors_names(layout: str, shapes: Shapes, depths: Sequence[int] = ()) -> Shapes:
    """Return the shapes under the layout's names; ``depths`` are of RepViT's stages."""
    places = dict(_repvit_places(depths))
    return {_authors(layout, places, name): shape for name, shape in shapes.items()}


def _authors(layout: str, places: Mapping[str, str], name: str) -> str:
    place = max((p for p in places if name.startswith(p)), key=len, default="")
    name = places.get(place, "") + name.removeprefix(place)
    for part, theirs in PARTS[layout]:
        name = re.sub(part, theirs, name)
    return name


def _repvit_places(depths: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Number the blocks: one in front of every change of size, which is one itself."""
    number = 1
    for stage, depth in enumerate(depths):
        if stage:
            yield f"stages.{stage}.downsample.pre_block.", f"B{number}."
            yield f"stages.{stage}.downsample.", f"D{number + 1}."
            number += 2
        for block in range(depth):
            yield f"stages.{stage}.blocks.{block}.", f"B{number}."
            number += 1
