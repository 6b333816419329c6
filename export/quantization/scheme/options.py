"""What a user may choose about a decision."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

from cnn_export.errors import UsageError

_HALF, _ALL = 50.0, 100.0

RangeMethod = Literal["minmax", "percentile", "mse"]


@dataclasses.dataclass(frozen=True)
class SchemeOptions:
    """How ranges are chosen, and what stays float.

    ``percentile`` is the share of values, in percent, that the method of that name keeps inside.
    ``keep_float`` names layers as ``placement/layer_names.py`` does. ``per_tensor_weights`` gives a
    layer one weight scale instead of one per output channel: worse, and there to show it.
    ``correct_biases`` adds to every bias what rounding shifts its channel's mean by.
    ``known_ranges`` are those that follow from what a tensor means, as 0 to 255 of pixels, by node.

    Outputs of the network keep all their range, whatever the method. The default was chosen on
    crops of photographs, ImageNet's MobileNetV2, four photographs to calibrate (32 crops) and four
    others to compare (100 crops), and the other way round; no crop of them is quoted elsewhere.
    Agreement with fp32 on all crops and where fp32 is above 0.5, and divergence in nats: min/max
    80.0 %, 98.2 %, 0.165; percentile 99.999 82.5, 99.1, 0.157; 99.99 85.0, 99.1, 0.098; 99.9 76.5,
    88.6, 0.294; MSE 85.5, 98.2, 0.118 (one standard error of the first: 2.6 points). Corrected
    biases help min/max (84.0, 99.1, 0.122) and MSE (86.0, 98.2, 0.082) and can hurt where ranges
    are cut: 99.99 79.5, 98.2, 0.290. Equalized channels add nothing to scales per channel
    (min/max 79.5, 98.2, 0.148).
    """

    ranges: RangeMethod = "percentile"
    percentile: float = 99.99
    keep_float: frozenset[str] = frozenset()
    per_tensor_weights: bool = False
    correct_biases: bool = False
    known_ranges: Mapping[str, tuple[float, float]] = dataclasses.field(
        default_factory=dict[str, tuple[float, float]]
    )

    @property
    def text(self) -> str:
        """How ranges are chosen, as :func:`parse_ranges` reads it."""
        return f"percentile:{self.percentile:g}" if self.ranges == "percentile" else self.ranges


def parse_ranges(text: str | None) -> SchemeOptions:
    """Return the options of ``minmax``, ``percentile:P`` or ``mse``; the default's for ``None``.

    Raises:
        UsageError: none of them, or a percentile that is not above 50 and up to 100.
    """
    if text is None:
        return SchemeOptions()
    method, _, share = text.partition(":")
    if method == "percentile":
        return SchemeOptions(ranges="percentile", percentile=_percentile(text, share))
    if share or method not in ("minmax", "mse"):
        raise UsageError(f"--ranges {text!r} is not one of minmax, percentile:P and mse")
    return SchemeOptions(ranges=method)


def _percentile(text: str, share: str) -> float:
    try:
        percentile = float(share or "99.99")
    except ValueError:
        percentile = math.nan
    if not _HALF < percentile <= _ALL:
        raise UsageError(f"--ranges {text!r}: write a share above 50 and up to 100, as 99.99")
    return percentile
