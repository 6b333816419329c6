"""The scale and zero point of a range."""

from __future__ import annotations

import math

import numpy as np

from cnn_export.quantization.decision import INT8_MAX, INT8_MIN
from cnn_export.quantization.insertion.clips import EVERYTHING, Bounds
from cnn_export.quantization.scheme.observation.ranges import Range

SCALE_MIN = 2.0**-30
"""For tensors that were 0 throughout; smaller ones could leave float32 in products."""


def scale_of(
    wanted: Range, inside: Bounds = EVERYTHING, floor: float = SCALE_MIN
) -> tuple[float, int]:
    """Return a float32 scale of at least ``floor`` and a zero point for the range.

    ``(high − low) / 255``, with 0 on a whole step. Where the range has to be reached, the scale is
    rounded up until it is; where all has to lie ``inside`` the bounds of a clip, down, so that
    saturating is that clip: a runtime may then drop it (one unit in the last place too much keeps
    ONNX Runtime from it, and its layer stays float). The floor goes before that.
    """
    step = max((wanted.high - wanted.low) / (INT8_MAX - INT8_MIN), SCALE_MIN)
    zero_point = min(max(round(INT8_MIN - wanted.low / step), INT8_MIN), INT8_MAX)
    below, above = zero_point - INT8_MIN, INT8_MAX - zero_point
    scale = nearest_float32(step)
    if wanted.reaches_low and below:
        scale = max(scale, float32_above(-wanted.low / below))
    if wanted.reaches_high and above:
        scale = max(scale, float32_above(wanted.high / above))
    limit = min(
        -inside.low / below if below else math.inf, inside.high / above if above else math.inf
    )
    if scale > limit:
        scale = float32_below(limit)
    return max(scale, float32_above(floor)), zero_point


def nearest_float32(value: float) -> float:
    """Return the float32 nearest to ``value``."""
    return float(np.float32(value))


def float32_above(value: float) -> float:
    """Return the smallest float32 that is at least ``value``."""
    near = np.float32(value)
    return float(near if float(near) >= value else np.nextafter(near, np.float32(np.inf)))


def float32_below(value: float) -> float:
    """Return the largest float32 that is at most ``value``."""
    near = np.float32(value)
    return float(near if float(near) <= value else np.nextafter(near, np.float32(-np.inf)))
