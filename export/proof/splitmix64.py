"""The probe's numbers: the same in Python, in Java and in any runner.

SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014)
needs nothing but 64-bit integer arithmetic. The top 24 bits of each output, divided by 2**24, are
exact in float32 and lie in [0, 1). Needs numpy alone.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

ProbeKind = Literal["unit", "pixel"]
"""Floating inputs hold u in [0, 1), or whole pixels floor(256·u); see :func:`probe_values`."""

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31
_MANTISSA_BITS = 24
_PIXEL_LEVELS = 256
_LOWEST = {"uint8": 0, "int8": -128}
"""Of the types whose 256 values are the levels of a pixel."""


def splitmix64(seed: int, count: int) -> npt.NDArray[np.uint64]:
    """Return the first ``count`` outputs of the generator started at ``seed``."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * _GAMMA
        for shift, multiplier in _ROUNDS:
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(multiplier)
    return z ^ (z >> np.uint64(_LAST_SHIFT))


def uniform(seed: int, count: int) -> npt.NDArray[np.float32]:
    """Return ``count`` values in [0, 1), multiples of 2**-24."""
    top = splitmix64(seed, count) >> np.uint64(64 - _MANTISSA_BITS)
    return (top.astype(np.float64) / 2**_MANTISSA_BITS).astype(np.float32)


def probe_values(
    seed: int, count: int, dtype: np.dtype[Any], kind: ProbeKind = "unit"
) -> npt.NDArray[Any]:
    """Return the probe's values of one input.

    ``unit``: u in [0, 1) in a floating type, floor(2·u) in any other. ``pixel``: floor(256·u), in
    int8 less 128, as its integers stand for the same levels; of wider integers, floor(2·u).
    """
    u = uniform(seed, count)
    if kind == "pixel" and dtype.name in _LOWEST:
        return (np.floor(u * _PIXEL_LEVELS) + _LOWEST[dtype.name]).astype(dtype)
    if not np.issubdtype(dtype, np.floating):
        return np.floor(u * 2).astype(dtype)
    return (np.floor(u * _PIXEL_LEVELS) if kind == "pixel" else u).astype(dtype)
