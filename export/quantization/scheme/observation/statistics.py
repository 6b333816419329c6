"""What one tensor held on calibration data, in constant memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch

BINS = 2048


@dataclasses.dataclass(frozen=True)
class TensorStatistics:
    """Smallest and largest value, and how many lay in each of equal bins between them.

    ``counts``: (BINS,), int64; a tensor that is one value everywhere has it all in bin 0.
    """

    low: float
    high: float
    counts: torch.Tensor

    @property
    def centers(self) -> torch.Tensor:
        """The middle of every bin; (BINS,), float64."""
        width = (self.high - self.low) / BINS
        return self.low + width * (torch.arange(BINS, dtype=torch.float64) + 0.5)

    def share_outside(self, low: float, high: float) -> float:
        """Return the share of values below ``low`` or above ``high``, to a bin."""
        centers = self.centers
        outside = self.counts[(centers < low) | (centers > high)].sum()
        return float(outside) / max(float(self.counts.sum()), 1.0)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What every float32 tensor of a graph held, by node name, over so many samples."""

    tensors: Mapping[str, TensorStatistics]
    samples: int
