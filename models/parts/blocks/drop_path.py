"""Stochastic depth (arXiv 1603.09382): in training, residual branches are left out by chance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class DropPath(nn.Module):
    """A sample's whole branch becomes 0 with probability ``rate``, and is scaled up otherwise.

    So its mean is what it was, and the network in evaluation mode is the plain one: the paper's
    scales down there instead. There are no tensors.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(
                f"a branch is dropped with a probability from 0 to below 1, got {rate}"
            )
        self.rate = rate

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        """Return ``branch`` (N, …), in training mode without some of the N."""
        if not self.training or not self.rate:
            return branch
        kept = torch.rand(len(branch), *[1] * (branch.dim() - 1), device=branch.device) >= self.rate
        return branch * kept / (1 - self.rate)


def decayed(rate: float, blocks: int) -> Sequence[float]:
    """Return each block's rate: growing linearly, the last one's is ``rate`` (equation 4)."""
    return [rate * block / blocks for block in range(1, blocks + 1)]
