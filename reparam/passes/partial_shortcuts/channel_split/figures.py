"""Modelled cost of a region as it is and carried in parts, for one image."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from torch import fx

from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.passes.partial_shortcuts.channel_split.channelwise import Channelwise, Dense
from cnn_export.reparam.passes.partial_shortcuts.channel_split.readers import (
    dense_readers,
    needs_whole,
)
from cnn_export.reparam.passes.partial_shortcuts.channel_split.regions import Region
from cnn_export.reparam.program_pass import Figures

_BYTES = 4
Carried = Mapping[fx.Node, list[int]]
"""Tensors of regions that are carried in parts already, with the sizes of these."""


@dataclasses.dataclass(frozen=True)
class RegionCost:
    """Figures, number of operators, and of slices and concatenations among them."""

    figures: Figures
    operators: int
    seams: int


def cost_as_is(region: Region, carried: Carried) -> RegionCost:
    """Return what the region costs now."""
    traffic, operators = 0, 0
    for node in _nodes(region):
        kind = region.kinds.get(node)
        if isinstance(kind, Dense):
            count, elements = _dense(kind, _count(kind.input, carried), _count(node, carried))
        elif isinstance(kind, Channelwise):
            count, elements = 1, _traffic(node)
        elif kind is not None:
            count, elements = 1, 2 * _elements(node)
        else:
            continue
        operators += count
        traffic += elements
    return RegionCost(_figures(region, traffic), operators, len(region.seams))


def cost_in_parts(region: Region, carried: Carried) -> RegionCost:
    """Return what the region would cost without a slice in it."""
    traffic, operators, joins = 0, 0, 0
    after = {**carried, **{node: region.sizes(node) for node in region.starts}}
    for node in _nodes(region):
        kind, parts = region.kinds.get(node), _count(node, after)
        if isinstance(kind, Dense):
            count, elements = _dense(kind, _count(kind.input, after), parts)
            operators, traffic = operators + count, traffic + elements
        elif isinstance(kind, Channelwise):
            operators, traffic = operators + parts, traffic + _traffic(node)
        if node in region.starts and parts > 1 and needs_whole(node, region.kinds):
            joins, traffic = joins + 1, traffic + 2 * _elements(node)
    return RegionCost(_figures(region, traffic), operators + joins, joins)


def _nodes(region: Region) -> list[fx.Node]:
    """Return the members and the dense convolutions that read them, each once."""
    found = dict.fromkeys(region.starts)
    for node in region.starts:
        found.update(dict.fromkeys(dense_readers(node, region.kinds)))
    return list(found)


def _dense(kind: Dense, inputs: int, outputs: int) -> tuple[int, int]:
    """Return operators and elements moved by ``inputs`` times ``outputs`` convolutions.

    Every result but the first is added to the sum of those before: two read, one written.
    """
    weights = kind.weight.numel() + (0 if kind.bias is None else kind.bias.numel())
    result = _elements(kind.node)
    moved = outputs * _elements(kind.input) + weights + inputs * result
    return inputs * outputs + (inputs - 1) * outputs, moved + 3 * (inputs - 1) * result


def _traffic(node: fx.Node) -> int:
    return _elements(node) + sum(_elements(source) for source in node.all_input_nodes)


def _figures(region: Region, elements: int) -> Figures:
    macs = sum(_macs(region, node) for node in _nodes(region))
    return Figures(macs, elements * _BYTES)


def _macs(region: Region, node: fx.Node) -> int:
    kind = region.kinds.get(node)
    if isinstance(kind, Dense):
        return _elements(node) * math.prod(kind.weight.shape[1:])
    if isinstance(kind, Channelwise) and kind.depthwise:
        return _elements(node) * math.prod(value_of(node.all_input_nodes[1]).shape[1:])
    return 0


def _count(node: fx.Node, carried: Carried) -> int:
    return len(carried.get(node, (0,)))


def _elements(node: fx.Node) -> int:
    """Return the elements of one image, or of a stored tensor; a symbolic size counts 1."""
    shape: Any = value_of(node).shape
    sizes = shape if node.op == "get_attr" else shape[1:]
    return math.prod(size for size in sizes if isinstance(size, int))
