"""What a rank-4 map is put together from: tiles over (height, width).

Concatenations, pads and slices are followed; each tile shows a part of one source map or holds one
constant per channel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.splice import slice_bounds

MAX_TILES = 32
"""More tiles than this are no border: four sides, written one by one, make nine."""

_RANK = 4
HEIGHT, WIDTH = _SPATIAL = (2, 3)


@dataclasses.dataclass(frozen=True)
class Tile:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` (ends excluded) of a map.

    Either ``source`` at (``row``, ``column``), or ``value``: (channels,) in float64.
    """

    top: int
    bottom: int
    left: int
    right: int
    source: fx.Node | None = None
    row: int = 0
    column: int = 0
    value: torch.Tensor | None = None

    def clipped(self, top: int, bottom: int, left: int, right: int) -> Tile | None:
        """Return the part within a window, in the window's coordinates, or ``None``."""
        first_row, last_row = max(self.top, top), min(self.bottom, bottom)
        first_column, last_column = max(self.left, left), min(self.right, right)
        if not _area(first_row, last_row, first_column, last_column):
            return None
        return dataclasses.replace(
            self,
            top=first_row - top,
            bottom=last_row - top,
            left=first_column - left,
            right=last_column - left,
            row=self.row + first_row - self.top,
            column=self.column + first_column - self.left,
        )

    def moved(self, down: int, right: int) -> Tile:
        """Return the tile further down and right."""
        return dataclasses.replace(
            self,
            top=self.top + down,
            bottom=self.bottom + down,
            left=self.left + right,
            right=self.right + right,
        )


def read_tiling(graph_module: fx.GraphModule) -> dict[fx.Node, list[Tile]]:
    """Return what every rank-4 map of known size is made of, in time linear in the graph.

    The tiles of one map tile it. A map that nothing is known of is one tile showing itself.
    """
    tiles: dict[fx.Node, list[Tile]] = {}
    for node in graph_module.graph.nodes:
        whole = _whole(node)
        if whole is None:
            continue
        value = _uniform(graph_module, node)
        rule = _RULES.get(operator_name(node))
        found = [dataclasses.replace(whole, source=None, value=value)] if value is not None else []
        if rule is not None:
            found = rule(node, tiles)
        tiles[node] = found if 0 < len(found) <= MAX_TILES else [whole]
    return tiles


def _whole(node: fx.Node) -> Tile | None:
    if not has_tensor(node) or value_of(node).ndim != _RANK:
        return None
    size = static_sizes(value_of(node).shape[1:])
    return Tile(0, size[1], 0, size[2], source=node) if size and all(size) else None


def _uniform(graph_module: fx.GraphModule, node: fx.Node) -> torch.Tensor | None:
    """Return the (channels,) values of a map that is one constant per channel, in float64."""
    channels = int(value_of(node).shape[1])
    inner: Any = node
    while operator_name(inner) in ("expand", "expand_as", "clone", "alias", "detach"):
        inner = inner.args[0]
    if operator_name(inner) in ("full", "full_like"):
        number = arguments(inner)["fill_value"]
        known = isinstance(number, (int, float))
        return torch.full((channels,), number, dtype=torch.float64) if known else None
    stored = constant(graph_module, inner)
    if stored is None or stored.ndim > _RANK or not stored.is_floating_point():
        return None
    shaped = stored.double().reshape((1,) * (_RANK - stored.ndim) + tuple(stored.shape))
    first = shaped[:1, :, :1, :1]
    if not torch.equal(first.expand_as(shaped), shaped):
        return None
    return first.reshape(-1).expand(channels)


_Tilings = dict[fx.Node, list[Tile]]


def _concatenated(node: fx.Node, tiles: _Tilings) -> list[Tile]:
    bound = arguments(node)
    dim, parts = bound["dim"] % _RANK, bound["tensors"]
    if dim not in _SPATIAL or any(part not in tiles for part in parts):
        return []
    tiled: list[Tile] = []
    offset = 0
    for part in parts:
        tiled += [
            tile.moved(*((offset, 0) if dim == HEIGHT else (0, offset))) for tile in tiles[part]
        ]
        offset += int(value_of(part).shape[dim])
    return tiled


def _sliced(node: fx.Node, tiles: _Tilings) -> list[Tile]:
    bound = arguments(node)
    dim, source = bound["dim"] % _RANK, bound["self"]
    if dim not in _SPATIAL or bound["step"] != 1 or source not in tiles:
        return []
    height, width = (int(size) for size in value_of(source).shape[2:])
    range_ = slice_bounds(int(value_of(source).shape[dim]), bound["start"], bound["end"])
    if range_ is None:
        return []
    window = (*range_, 0, width) if dim == HEIGHT else (0, height, *range_)
    return [part for tile in tiles[source] if (part := tile.clipped(*window)) is not None]


def _padded(node: fx.Node, tiles: _Tilings) -> list[Tile]:
    bound = arguments(node)
    source, value = bound["self"], bound["value"]
    widths: list[Any] = [*bound["pad"], 0, 0][:4]
    plain = bound.get("mode", "constant") == "constant" and len(bound["pad"]) in (2, 4)
    if not plain or source not in tiles or any(not isinstance(w, int) or w < 0 for w in widths):
        return []
    left, right, top, bottom = widths
    height, width = (int(size) for size in value_of(node).shape[2:])
    channels = int(value_of(node).shape[1])
    constants = torch.full((channels,), float(value or 0), dtype=torch.float64)
    edges = (
        (0, top, 0, width),
        (height - bottom, height, 0, width),
        (top, height - bottom, 0, left),
        (top, height - bottom, width - right, width),
    )
    sides = [Tile(*edge, value=constants) for edge in edges if _area(*edge)]
    return [*(tile.moved(top, left) for tile in tiles[source]), *sides]


def _area(top: int, bottom: int, left: int, right: int) -> int:
    return max(bottom - top, 0) * max(right - left, 0)


_RULES: dict[str, Callable[[fx.Node, _Tilings], list[Tile]]] = {
    "cat": _concatenated,
    "slice": _sliced,
    "pad": _padded,
    "constant_pad_nd": _padded,
}
