"""Where the windows of a pool end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx

from cnn_export.reparam.graph.operators import arguments, expand_list, static_sizes, value_of


def overhang(node: fx.Node, spatial: int) -> tuple[int, ...] | None:
    """Return, per spatial dimension, how far the last window reaches beyond the padded map.

    ``None`` where sizes are not known. All zero: rounding down gives as many windows.
    """
    bound = arguments(node)
    sizes = static_sizes(value_of(bound["self"]).shape[-spatial:])
    counts = static_sizes(value_of(node).shape[-spatial:])
    if sizes is None or counts is None:
        return None
    kernel = expand_list(bound["kernel_size"], spatial)
    stride = expand_list(bound["stride"] or kernel, spatial)
    padding = expand_list(bound["padding"], spatial)
    dilation = expand_list(bound.get("dilation", 1), spatial)
    return tuple(
        max(0, (count - 1) * step + spread * (window - 1) + 1 - (size + 2 * pad))
        for count, step, spread, window, size, pad in zip(
            counts, stride, dilation, kernel, sizes, padding, strict=True
        )
    )


def last_first(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Return pads as ``aten.pad`` wants them: the last dimension's first."""
    pairs: list[Any] = list(zip(before, after, strict=True))
    return [size for pair in reversed(pairs) for size in pair]
