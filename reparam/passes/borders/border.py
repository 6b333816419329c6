"""A map with a border of per-channel constants around it, however it was put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import fx

from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.passes.borders.tiling import Tile


@dataclasses.dataclass(frozen=True)
class Border:
    """``source`` padded by ``pads`` (left, right, top, bottom) with ``value`` per channel."""

    source: fx.Node
    pads: tuple[int, int, int, int]
    value: torch.Tensor


def read_border(node: fx.Node, tiles: Sequence[Tile]) -> Border | None:
    """Return the one map, whole, and the one constant around it that ``tiles`` show, if so."""
    shown = [tile for tile in tiles if tile.source is not None]
    values = [tile.value for tile in tiles if tile.value is not None]
    if not shown or not values or any(not torch.equal(values[0], each) for each in values):
        return None
    source = shown[0].source
    if source is None or any(tile.source is not source for tile in shown):
        return None
    offsets = {(tile.top - tile.row, tile.left - tile.column) for tile in shown}
    height, width = value_of(source).shape[2:]
    area = sum((tile.bottom - tile.top) * (tile.right - tile.left) for tile in shown)
    if len(offsets) != 1 or area != height * width:
        return None
    ((top, left),) = offsets
    rows, columns = value_of(node).shape[2:]
    pads = (left, int(columns) - int(width) - left, top, int(rows) - int(height) - top)
    return Border(source, pads, values[0])
