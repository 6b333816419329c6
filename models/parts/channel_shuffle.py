"""Channel shuffle, between convolutions that see only a part of the channels (arXiv 1707.01083)."""

from __future__ import annotations

import torch


def channel_shuffle(maps: torch.Tensor, groups: int) -> torch.Tensor:
    """Return ``maps`` (N, C, H, W) with every ``groups``-th channel beside the one before.

    Channel ``j·C/g + i`` of the result is channel ``i·g + j`` of the input, as in the code of
    ShuffleNet's authors. Torchvision's shuffle with ``groups`` is the inverse of this one.
    """
    batch, channels, height, width = maps.shape
    apart = maps.reshape(batch, channels // groups, groups, height, width)
    return apart.transpose(1, 2).reshape(batch, channels, height, width)
