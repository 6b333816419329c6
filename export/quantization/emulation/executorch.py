"""ExecuTorch's arithmetic: XNNPACK's, but for averages.

Measured on ExecuTorch 1.4.1: an average over height and width that keeps its dimensions goes to
XNNPACK, with the conversions around it, as one integer operator; any other is the runtime's own
float kernel (``kernels/portable/cpu/op_mean.cpp``), which divides where XNNPACK multiplies by 1/n.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from cnn_export.quantization.emulation.arithmetic import Pair
from cnn_export.quantization.emulation.grid import Grid, float32
from cnn_export.quantization.emulation.kernels.float32_arithmetic import reduction, sequential_sum
from cnn_export.quantization.emulation.xnnpack import XNNPACK


def _average(pixels: Pair, output: Grid) -> torch.Tensor:
    """``round(Σq · r + (z_y − n·z·r))``, ``r = (s/s_y)·(1/n)``, over the last two dimensions.

    What the zero points come to is rounded once, before, and added in float32: a tie goes to the
    even result, zero point and all (XNNPACK's ``src/operators/reduce-nd.c`` has the ratio).
    """
    integers, grid = pixels
    count = integers.shape[-1] * integers.shape[-2]
    ratio = float32(grid.scale) / float32(output.scale) * (1 / float32(count))
    offset = float32(-count * grid.zero_point) * ratio + output.zero_point
    sums = integers.long().sum((-2, -1), keepdim=True).float()
    return output.stored((sums * ratio + offset).round())


def _mean(x: torch.Tensor, dim: Sequence[int] | None = None, keepdim: bool = False) -> torch.Tensor:
    """Add one element after the other, over n."""
    reduced = reduction(x, dim, keepdim)
    return reduced.shaped(sequential_sum(reduced.rows) / float32(reduced.rows.shape[-1]))


EXECUTORCH = dataclasses.replace(
    XNNPACK,
    name="ExecuTorch with XNNPACK",
    average=_average,
    floats={**XNNPACK.floats, "mean": _mean},
)
