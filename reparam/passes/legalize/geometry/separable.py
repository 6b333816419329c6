"""Operators that map rows and columns of an image by one matrix each."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of

_aten = torch.ops.aten
_IMAGE = 4
_WIDTHS = 4
NEAREST = ("upsample_nearest2d", "_upsample_nearest_exact2d")
_SEPARABLE = (*NEAREST, "upsample_bicubic2d", "adaptive_avg_pool2d", "pad")
_BORDERS = ("reflect", "replicate", "circular")


def image_read_by(node: fx.Node) -> fx.Node | str | None:
    """Return the image that a separable operator reads, or why it is not taken as such.

    ``None`` for other operators.
    """
    if operator_name(node) not in _SEPARABLE:
        return None
    bound = arguments(node)
    if "mode" in bound and bound["mode"] not in _BORDERS:
        return None
    source: fx.Node = next(iter(bound.values()))
    if "mode" in bound and (value_of(source).ndim != _IMAGE or len(bound["pad"]) != _WIDTHS):
        return "it pads other dimensions than rows and columns"
    if value_of(source).ndim != _IMAGE:
        return f"its input has {value_of(source).ndim} dimensions"
    if static_sizes(value_of(source).shape) is None or static_sizes(value_of(node).shape) is None:
        return "the sizes of its input are not known"
    return source


def axis_map(node: fx.Node, axis: int) -> torch.Tensor:
    """Return the matrix (size out, size in) in float64 that maps rows (0) or columns (1).

    It is what the operator itself makes of the unit vectors, each laid out as a channel of rows.
    """
    bound = arguments(node)
    source: fx.Node = next(iter(bound.values()))
    size_in, size_out = (int(value_of(each).shape[2 + axis]) for each in (source, node))
    units = torch.eye(size_in, dtype=torch.float64).reshape(1, size_in, size_in, 1)
    mapped = _call(operator_name(node), bound, units, size_out, axis)
    return mapped[0, :, :, 0].T.contiguous()


def repeats_of(matrix: torch.Tensor) -> int | None:
    """Return how often every position is repeated in turn, if the matrix does just that."""
    size_out, size_in = matrix.shape
    factor = size_out // size_in
    unit = torch.eye(size_in, dtype=matrix.dtype)
    return factor if factor and torch.equal(matrix, unit.repeat_interleave(factor, 0)) else None


def _call(
    name: str, bound: dict[str, Any], units: torch.Tensor, size_out: int, axis: int
) -> torch.Tensor:
    if name == "pad":
        before, after = bound["pad"][2 * (1 - axis) : 2 * (2 - axis)]
        return _aten.pad.default(units, [0, 0, before, after], bound["mode"])
    if name == "adaptive_avg_pool2d":
        return _aten.adaptive_avg_pool2d.default(units, [size_out, 1])
    corners = [bound["align_corners"]] if "align_corners" in bound else []
    given = bound.get("scale_factors") or (bound.get("scales_h"), bound.get("scales_w"))
    operator: Any = getattr(_aten, name).default
    return operator(units, [size_out, 1], *corners, given[axis], None)
