"""What a region costs as it stands, and as one convolution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from torch import fx

from cnn_export.reparam.cost import elements
from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.passes.branches.algebra.footprint import Footprint
from cnn_export.reparam.passes.branches.algebra.leaf import Leaf
from cnn_export.reparam.passes.branches.algebra.regions import LinearGraph, Region
from cnn_export.reparam.passes.branches.algebra.writing import explicit_border
from cnn_export.reparam.program_pass import Figures

_BYTES = 4
"""Figures count float32, whatever precision the passes work in."""


def is_cheaper(after: Figures, before: Figures) -> bool:
    """Whether neither figure rises and one falls: no machine balance is assumed, ties stay."""
    return after.macs <= before.macs and after.bytes <= before.bytes and after != before


def cost_before(region: Region, linear: LinearGraph) -> tuple[Figures, list[fx.Node]]:
    """Return the cost of every operator that the merge removes, and those operators.

    An interior value that something else reads stays, with all it depends on, and is not counted.
    """
    removed = set(region.sums) or {region.node}
    for node in reversed(region.interior):
        if node is region.node or (node.users and all(user in removed for user in node.users)):
            removed.add(node)
    gone = [node for node in region.interior if node in removed]
    merged_sums = list(region.sums)[: len(region.terms) - 1]
    return _total(_figures(node, linear) for node in [*gone, *merged_sums]), gone


def cost_after(region: Region, footprint: Footprint, *, has_bias: bool) -> Figures:
    """Return the cost of the convolution that replaces the terms, explicit padding included."""
    source, result = elements(value_of(region.source).shape), elements(value_of(region.node).shape)
    per_output = footprint.channels_in // footprint.groups * math.prod(footprint.kernel)
    bias = footprint.channels_out if has_bias else 0
    traffic = result + footprint.weights + bias
    border = explicit_border(footprint)
    size = tuple(axis.size_in for axis in footprint.axes)
    sizes = [size] if border is None else border.sizes(size)
    maps = [source // math.prod(size) * math.prod(each) for each in sizes]
    traffic += maps[-1] + sum(before + after for before, after in itertools.pairwise(maps))
    return Figures(macs=result * per_output, bytes=traffic * _BYTES)


def _figures(node: fx.Node, linear: LinearGraph) -> Figures:
    """Return one operator's cost; pools and maps per channel count as depthwise convolutions."""
    result = elements(value_of(node).shape)
    traffic = result + sum(elements(value_of(each).shape) for each in node.all_input_nodes)
    leaf = linear.leaf(node)
    macs = 0
    if isinstance(leaf, Leaf) and leaf.multiplies:
        shape = leaf.map.footprint
        macs = result * (shape.channels_in // shape.groups) * math.prod(shape.kernel)
    return Figures(macs, traffic * _BYTES)


def _total(figures: Iterable[Figures]) -> Figures:
    every = list(figures)
    return Figures(sum(each.macs for each in every), sum(each.bytes for each in every))
