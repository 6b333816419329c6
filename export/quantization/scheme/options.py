"""What a user may choose about a decision."""

from __future__ import annotations

import dataclasses
from typing import Literal

RangeMethod = Literal["minmax", "percentile", "mse"]


@dataclasses.dataclass(frozen=True)
class SchemeOptions:
    """How ranges are chosen, and what stays float.

    ``percentile`` is the share of values, in percent, that the method of that name keeps inside.
    ``keep_float`` names layers as ``placement/layer_names.py`` does. ``per_tensor_weights`` gives a
    layer one weight scale instead of one per output channel: worse, and there to show it.
    """

    ranges: RangeMethod = "minmax"
    percentile: float = 99.99
    keep_float: frozenset[str] = frozenset()
    per_tensor_weights: bool = False
