"""Regions of a graph whose tensors can be carried in parts."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Iterator

from torch import fx

from cnn_export.reparam.graph.channel_ranges import (
    ChannelRange,
    channels,
    concatenated,
    read_channel_slice,
)
from cnn_export.reparam.passes.partial_shortcuts.channel_split.channelwise import (
    Channelwise,
    Dense,
    read_channelwise,
    read_dense,
)
from cnn_export.reparam.passes.partial_shortcuts.channel_split.coordinates import Coordinates

Kind = ChannelRange | tuple[fx.Node, ...] | Channelwise | Dense
"""A slice, the operands of a concatenation, a channelwise operator or a dense convolution."""


@dataclasses.dataclass(frozen=True)
class Region:
    """Tensors on one scale of channels.

    ``starts`` holds every member's first channel on it, ``borders`` where slices, operands of
    concatenations and members begin and end, in order. ``kinds`` is that of the whole graph.
    """

    starts: dict[fx.Node, int]
    borders: tuple[int, ...]
    kinds: dict[fx.Node, Kind]

    @property
    def seams(self) -> list[fx.Node]:
        """The slices and concatenations, in the graph's order."""
        return [node for node in self.starts if isinstance(self.kinds.get(node), _SEAMS)]

    @property
    def name(self) -> str:
        """Name of the first concatenation, or where there is none, of the first slice."""
        seams = self.seams
        return next((each for each in seams if isinstance(self.kinds[each], tuple)), seams[0]).name

    def sizes(self, node: fx.Node) -> list[int]:
        """Return the number of channels of each part that a member is carried in."""
        begin = self.starts[node]
        end = begin + (channels(node) or 0)
        first = bisect.bisect_left(self.borders, begin)
        last = bisect.bisect_left(self.borders, end)
        inside = self.borders[first : last + 1]
        return [stop - start for start, stop in itertools.pairwise(inside)]


_SEAMS = (ChannelRange, tuple)


def read_kinds(graph_module: fx.GraphModule) -> dict[fx.Node, Kind]:
    """Return what every node is, where a split can pass it."""
    kinds: dict[fx.Node, Kind] = {}
    for node in graph_module.graph.nodes:
        kind = _read_kind(graph_module, node)
        if kind is not None:
            kinds[node] = kind
    return kinds


def find_regions(graph_module: fx.GraphModule) -> list[Region]:
    """Return every region with a slice or a concatenation in it, in the graph's order."""
    kinds = read_kinds(graph_module)
    coordinates = _coordinates(kinds)
    groups: dict[fx.Node, dict[fx.Node, int]] = {}
    positions = {node: position for position, node in enumerate(graph_module.graph.nodes)}
    for node in sorted(_joined(kinds), key=positions.__getitem__):
        root, start = coordinates.locate(node)
        groups.setdefault(root, {})[node] = start
    regions = [Region(starts, _borders(starts), kinds) for starts in groups.values()]
    return [region for region in regions if region.seams]


def _read_kind(graph_module: fx.GraphModule, node: fx.Node) -> Kind | None:
    found = read_channel_slice(node)
    if found is not None:
        return found
    operands = concatenated(node)
    if operands is not None:
        return tuple(operands)
    return read_channelwise(graph_module, node) or read_dense(graph_module, node)


def _coordinates(kinds: dict[fx.Node, Kind]) -> Coordinates:
    """Join slices first, then concatenations: they say where channels lie; the rest follows."""
    coordinates = Coordinates()
    for node, kind in kinds.items():
        if isinstance(kind, ChannelRange):
            coordinates.join(kind.source, node, kind.start)
    for node, kind in kinds.items():
        if isinstance(kind, tuple):
            position = 0
            for operand in kind:
                coordinates.join(node, operand, position)
                position += channels(operand) or 0
    for node, kind in kinds.items():
        if isinstance(kind, Channelwise):
            for operand in kind.operands:
                coordinates.join(operand, node, 0)
    return coordinates


def _joined(kinds: dict[fx.Node, Kind]) -> set[fx.Node]:
    return {each for node, kind in kinds.items() for each in (node, *joined_sources(kind))}


def joined_sources(kind: Kind | None) -> Iterator[fx.Node]:
    """Yield the tensors whose channels a node of that kind takes over, in order."""
    if isinstance(kind, ChannelRange):
        yield kind.source
    elif isinstance(kind, tuple):
        yield from kind
    elif isinstance(kind, Channelwise):
        yield from kind.operands


def _borders(starts: dict[fx.Node, int]) -> tuple[int, ...]:
    ends = {start + (channels(node) or 0) for node, start in starts.items()}
    return tuple(sorted(ends | set(starts.values())))
