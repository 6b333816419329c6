"""Mobile-Former's blocks, and recognising a checkpoint by them.

Pure data and integers: nothing here builds a module.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from cnn_export.models.published import Published
from cnn_export.models.registry import Shapes

TOKENS, EMBEDDING, HEADS = 6, 192, 2
CROP_START = 16
"""Tokens are made of the image's pixels from here on, ``EMBEDDING`` in height and width."""

MINIMUM_SIZE = CROP_START + EMBEDDING


@dataclasses.dataclass(frozen=True)
class Block:
    """One block, in channels: of stride 2 with two depthwise convolutions, else with one."""

    inputs: int
    hidden: int
    outputs: int
    stride: int


@dataclasses.dataclass(frozen=True)
class Table:
    """Every channel count of one network."""

    stem: int
    blocks: tuple[Block, ...]
    head: int


_STRIDES = (2, 1, 2, 1, 2, 1, 1, 1, 2, 1, 1)
_HIDDEN_AND_OUTPUTS = {
    151: (
        *((72, 16), (48, 16), (96, 32), (96, 32), (192, 64), (256, 64), (384, 88), (528, 88)),
        *((528, 128), (768, 128), (768, 128)),
    ),
    294: (
        *((96, 24), (96, 24), (144, 48), (192, 48), (288, 96), (384, 96), (576, 128), (768, 128)),
        *((768, 192), (1152, 192), (1152, 192)),
    ),
    508: (
        *((144, 40), (120, 40), (240, 72), (216, 72), (432, 128), (512, 128), (768, 176)),
        *((1056, 176), (1056, 240), (1440, 240), (1440, 240)),
    ),
}
"""By the multiply-accumulates that the paper states, in M: table 1 and appendix."""

_STEMS = {151: 12, 294: 16, 508: 24}
_HEADS = {151: 1280, 294: 1920, 508: 1920}


def table(size: int) -> Table:
    """Return the channel counts of the network that the paper calls by ``size`` M.

    Raises:
        ValueError: there is none; names those that are.
    """
    if size not in _STEMS:
        sizes = ", ".join(map(str, _STEMS))
        raise ValueError(f"Mobile-Former has sizes {sizes} (M multiply-accumulates), got {size}")
    inputs = _STEMS[size]
    blocks: list[Block] = []
    for (hidden, outputs), stride in zip(_HIDDEN_AND_OUTPUTS[size], _STRIDES, strict=True):
        blocks.append(Block(inputs, hidden, outputs, stride))
        inputs = outputs
    return Table(_STEMS[size], tuple(blocks), _HEADS[size])


def detect(shapes: Shapes) -> dict[str, Any] | None:
    """Return ``mobile_former``'s arguments for these tensors, or None for another network's."""
    tokens = shapes.get("token_conv.weight", ())
    stem, logits = shapes.get("stem.0.weight", ()), shapes.get("head.2.weight", ())
    if len(tokens) != 4 or len(stem) != 4 or len(logits) != 2:
        return None
    for size, channels in _STEMS.items():
        if stem[0] == channels:
            return {"size": size, "classes": logits[0], "in_channels": stem[1]}
    return None


_PAPER = "arXiv 2108.05895, table 2"


def _published(size: int, params_m: float, without_m: float) -> Published:
    """``without_m`` is our count, in M, without the matrix that equation 3 does not have."""
    less = f"{100 * (1 - without_m / size):.1f} %"
    note = (
        "the paper has no public code; these are the tensors of the widely used unofficial one,"
        " which projects what the tokens give each pixel by a matrix that the paper's equation 3"
        f" does not have (without it {without_m} M multiply-accumulates, {less} under the paper's),"
        " lets each head see all channels, makes tokens of pixels, and holds the layers of dynamic"
        " ReLU unused; the paper's accuracy is of another network"
    )
    name = f"Mobile-Former-{size}M"
    return Published(name, {"size": size}, _PAPER, params_m, size, note=note)


PUBLISHED = (
    _published(151, 7.6, 149.6),
    _published(294, 11.4, 286.4),
    _published(508, 14.0, 492.9),
)
