"""Sums of two scaled integers in fixed point."""

from __future__ import annotations

import math

import torch

from cnn_export.quantization.emulation.arithmetic import Pair
from cnn_export.quantization.emulation.grid import Grid, float32


def fixed_point_sum(
    left: Pair, right: Pair, output: Grid, *, bits: int
) -> tuple[torch.Tensor, int]:
    """Return ``Δ_a·m_a + Δ_b·m_b`` and the shift h that it is to be divided by, int64.

    ``Δ = q − z``, ``m = round(s / s_y · 2^h)`` with halves to even; h is such that the larger
    multiplier has so many ``bits``.
    """
    scales = [float32(grid.scale) / float32(output.scale) for _, grid in (left, right)]
    exponent = math.frexp(max(float(scale) for scale in scales))[1]
    shift = bits - exponent
    multipliers = [int((scale.double() * 2.0**shift).round().item()) for scale in scales]
    terms = [
        grid.centred(integers).long() * multiplier
        for (integers, grid), multiplier in zip((left, right), multipliers, strict=True)
    ]
    return terms[0] + terms[1], shift
