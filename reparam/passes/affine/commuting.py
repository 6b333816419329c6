"""Operators that a map per channel can be moved through: ``f(a·x + c) = a·f(x) + c``."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

from torch import fx

from cnn_export.reparam.graph.operators import (
    arguments,
    operator_name,
    same_size,
    static_sizes,
    value_of,
)
from cnn_export.reparam.passes.affine.channel_affine import CHANNEL_DIM

Bound = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Commuting:
    """What can be moved through an operator from its input to its output.

    ``shift``: whether ``c`` can, and not only ``a``. ``positive``: whether only ``a ≥ 0`` can.
    ``rectifies``: whether the operator is a rectifier. ``repeat``: how many channels of the output
    each channel of the input becomes, side by side.
    """

    shift: bool = True
    positive: bool = False
    rectifies: bool = False
    repeat: int = 1


def read_commuting(node: fx.Node, source: fx.Node) -> Commuting | None:
    """Return what passes from ``source`` through ``node``; ``None`` if nothing does."""
    name = operator_name(node)
    rule = _RULES.get(name)
    if rule is None or not _has_channels(name, value_of(node).ndim):
        return None
    bound = arguments(node)
    return rule(bound, node) if next(iter(bound.values())) is source else None


def _has_channels(name: str, rank: int) -> bool:
    """Whether dimension 1 holds channels: a single image without a batch has its rows there."""
    spatial = re.search(r"([123])d$", name)
    return spatial is None or rank == int(spatial[1]) + CHANNEL_DIM + 1


def _pad(bound: Bound, node: fx.Node) -> Commuting | None:
    """Zeros scale, and repeated values do everything; a constant is refused for its shift."""
    if len(bound["pad"]) > 2 * (value_of(node).ndim - CHANNEL_DIM - 1):
        return None
    if bound.get("mode", "constant") != "constant":
        return Commuting()
    return Commuting(shift=False) if not bound["value"] else None


def _average(bound: Bound, _: fx.Node) -> Commuting:
    """An average of a constant is that constant, unless padding is averaged in."""
    padded = any(_each(bound["padding"])) and bound["count_include_pad"]
    return Commuting(shift=not padded and bound.get("divisor_override") is None)


def _mean(bound: Bound, node: fx.Node) -> Commuting | None:
    rank = value_of(bound["self"]).ndim
    dims = {dim % rank for dim in bound.get("dim") or ()}
    plain = bool(dims) and bound["dtype"] is None and dims.isdisjoint(range(CHANNEL_DIM + 1))
    return Commuting() if plain and value_of(node).ndim > CHANNEL_DIM else None


def _reshape(bound: Bound, node: fx.Node) -> Commuting | None:
    """Elements keep their order, so each channel stays in one piece if its image does."""
    before, after = value_of(bound["self"]).shape, value_of(node).shape
    sizes, new = static_sizes(before[1:]), static_sizes(after[1:])
    if not sizes or not new or 0 in sizes or not same_size(before[0], after[0]):
        return None
    repeat, rest = divmod(new[0], sizes[0])
    if rest or repeat * math.prod(new[1:]) != math.prod(sizes[1:]):
        return None
    return Commuting(repeat=repeat)


def _each(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _all(_: Bound, __: fx.Node) -> Commuting:
    return Commuting()


def _largest(_: Bound, __: fx.Node) -> Commuting:
    """Padding is minus infinity, which no map moves."""
    return Commuting(positive=True)


def _rectified(_: Bound, __: fx.Node) -> Commuting:
    return Commuting(shift=False, positive=True, rectifies=True)


_RULES: dict[str, Callable[[Bound, fx.Node], Commuting | None]] = {
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _average),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), _largest),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"), _all),
    **dict.fromkeys(("upsample_nearest2d", "upsample_bilinear2d"), _all),
    **dict.fromkeys(("relu", "leaky_relu"), _rectified),
    **dict.fromkeys(("reshape", "view", "flatten", "squeeze"), _reshape),
    "mean": _mean,
}
