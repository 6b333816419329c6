"""A region as one linear map: first its footprint and bias, later, if wanted, its weights."""

from __future__ import annotations

import dataclasses

import torch
from torch import fx

from cnn_export.reparam.passes.branches.algebra import convolution_map, footprint
from cnn_export.reparam.passes.branches.algebra.convolution_map import ConvolutionMap, through_bias
from cnn_export.reparam.passes.branches.algebra.footprint import Footprint, NotRepresentable
from cnn_export.reparam.passes.branches.algebra.leaf import Leaf, image_size
from cnn_export.reparam.passes.branches.algebra.regions import LinearGraph, Region, Term

_ROUNDING = 1e-13
"""A bias this small beside what cancelled in it is zero: float64 leaves 1e-16 per addition."""


@dataclasses.dataclass(frozen=True)
class Outline:
    """Footprint and bias of a value as a function of the region's source.

    ``bias_scale`` is the largest bias met on the way, to tell a cancelled bias from a small one.
    """

    footprint: Footprint
    bias: torch.Tensor
    bias_scale: float

    @property
    def is_unbiased(self) -> bool:
        """Whether the value is zero where the source is zero."""
        return float(self.bias.abs().max()) <= _ROUNDING * self.bias_scale


Outlines = dict[fx.Node, Outline]


def outline(region: Region, linear: LinearGraph) -> tuple[Outline, Outlines]:
    """Return the outline of the region's terms summed, and of every value inside.

    Raises:
        NotRepresentable: the region is no single convolution.
    """
    known = {region.source: _source_outline(region)}
    for node in region.interior:
        leaf = linear.leaf(node)
        if isinstance(leaf, Leaf):
            known[node] = _through(leaf.map, known[leaf.input])
        else:
            known[node] = _sum(linear.operands(node) or (), known)
    return _sum(region.terms, known), known


def weights(region: Region, linear: LinearGraph, outlines: Outlines) -> ConvolutionMap:
    """Return the region's terms summed as one map; ``outlines`` as :func:`outline` made them."""
    source = outlines[region.source].footprint
    sizes = tuple(axis.size_in for axis in source.axes)
    known = {region.source: convolution_map.identity(source.channels_in, sizes)}
    for node in region.interior:
        leaf = linear.leaf(node)
        if isinstance(leaf, Leaf):
            shape = outlines[node].footprint
            known[node] = convolution_map.compose(leaf.map, known[leaf.input], shape)
        else:
            known[node] = _added(linear.operands(node) or (), known)
    return _added(region.terms, known)


def _source_outline(region: Region) -> Outline:
    found = image_size(region.source)
    if found is None:
        raise NotRepresentable("the size of their source is not known")
    shape = footprint.identity(*found)
    return Outline(shape, torch.zeros(found[0], dtype=torch.float64), 0.0)


def _through(leaf: ConvolutionMap, inner: Outline) -> Outline:
    shape = footprint.compose(leaf.footprint, inner.footprint, inner_is_unbiased=inner.is_unbiased)
    gain = float(leaf.weight.abs().flatten(1).sum(1).max())
    scale = max(float(leaf.bias.abs().max()), gain * inner.bias_scale)
    return Outline(shape, through_bias(leaf, inner.bias), scale)


def _sum(terms: tuple[Term, ...], known: Outlines) -> Outline:
    (first, factor), *others = terms
    found = known[first]
    total = Outline(found.footprint, factor * found.bias, abs(factor) * found.bias_scale)
    for node, factor in others:
        each = known[node]
        total = Outline(
            footprint.add(total.footprint, each.footprint),
            total.bias + factor * each.bias,
            max(total.bias_scale, abs(factor) * each.bias_scale),
        )
    return total


def _added(terms: tuple[Term, ...], known: dict[fx.Node, ConvolutionMap]) -> ConvolutionMap:
    (first, factor), *others = terms
    start = known[first]
    total = ConvolutionMap(start.footprint, factor * start.weight, factor * start.bias)
    for node, factor in others:
        shape = footprint.add(total.footprint, known[node].footprint)
        total = convolution_map.add(total, known[node], factor, shape)
    return total
