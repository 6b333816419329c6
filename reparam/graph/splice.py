"""Ranges of a tensor along one dimension: read from slices, cut out, put together, replaced."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.surgery import insert_call

_aten = torch.ops.aten


@dataclasses.dataclass(frozen=True)
class Range:
    """``source[start:end]`` along dimension ``dim``."""

    source: fx.Node
    dim: int
    start: int
    end: int


def read_slice(node: fx.Node) -> Range | None:
    """Read ``slice`` of step 1 along a dimension of known size; clamped bounds."""
    if operator_name(node) != "slice" or not has_tensor(node):
        return None
    bound = arguments(node)
    source: fx.Node = bound["self"]
    dim = bound["dim"] % value_of(source).ndim
    bounds = slice_bounds(value_of(source).shape[dim], bound["start"], bound["end"])
    if bounds is None or bound["step"] != 1:
        return None
    return Range(source, dim, *bounds)


def splice(
    whole: fx.Node,
    part: fx.Node,
    dim: int,
    start: Any,
    end: Any,
    step: Any,
    *,
    before: fx.Node,
    like: fx.Node,
) -> fx.Node:
    """Return ``whole`` with ``whole[start:end:step]`` along ``dim`` replaced by ``part``.

    ``cat([whole[:start], part, whole[end:]], dim)`` without the pieces that are empty; where step
    or size are not known to be plain (a dynamic batch, every second row), ``slice_scatter``.
    """
    rank = value_of(whole).ndim
    dim %= rank
    bounds = slice_bounds(value_of(whole).shape[dim], start, end) if step == 1 else None
    if bounds is None:
        args = (whole, part, dim, start, end, step)
        return insert_call(whole.graph, _aten.slice_scatter.default, args, before=before, like=like)
    size = int(value_of(whole).shape[dim])
    first, last = bounds
    if first == last:
        return whole
    ranges = ((0, first), (first, last), (last, size))
    pieces = [
        part if each == bounds else insert_piece(whole, dim, *each, before=before, like=like)
        for each in ranges
        if each[0] < each[1]
    ]
    return insert_concatenation(pieces, dim, before=before, like=like)


def splice_index(
    whole: fx.Node, part: fx.Node, dim: int, index: Any, *, before: fx.Node, like: fx.Node
) -> fx.Node:
    """Return ``whole`` with ``whole.select(dim, index)`` replaced by ``part``."""
    rank = value_of(whole).ndim
    dim %= rank
    size = static_sizes(value_of(whole).shape[dim : dim + 1])
    if size is None or not isinstance(index, int):
        args = (whole, part, dim, index)
        return insert_call(
            whole.graph, _aten.select_scatter.default, args, before=before, like=like
        )
    start = index % size[0]
    layer = insert_call(whole.graph, _aten.unsqueeze.default, (part, dim), before=before, like=like)
    return splice(whole, layer, dim, start, start + 1, 1, before=before, like=like)


def slice_bounds(size: Any, start: Any, end: Any) -> tuple[int, int] | None:
    """Return ``start`` and ``end`` as ``slice`` takes them, clamped; ``None`` if not constant."""
    if not isinstance(size, int) or not all(
        each is None or isinstance(each, int) for each in (start, end)
    ):
        return None
    first, last, _ = slice(start, end).indices(size)
    return first, max(first, last)


def insert_piece(
    whole: fx.Node, dim: int, start: int, end: int, *, before: fx.Node, like: fx.Node
) -> fx.Node:
    """Return ``whole[start:end]`` along ``dim``; the node itself where that is all of it."""
    if (start, end) == (0, value_of(whole).shape[dim]):
        return whole
    args = (whole, dim, start, end)
    return insert_call(whole.graph, _aten.slice.Tensor, args, before=before, like=like)


def insert_concatenation(
    pieces: list[fx.Node], dim: int, *, before: fx.Node, like: fx.Node
) -> fx.Node:
    """Return the pieces side by side; a single one as it is."""
    if len(pieces) == 1:
        return pieces[0]
    graph = pieces[0].graph
    return insert_call(graph, _aten.cat.default, (pieces, dim), before=before, like=like)
