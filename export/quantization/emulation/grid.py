"""The integers of one tensor: their scale, zero point and bounds, read from quantize nodes."""

from __future__ import annotations

import dataclasses

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments


@dataclasses.dataclass(frozen=True)
class Grid:
    """``real = (q − zero_point) · scale`` for whole ``q`` from ``low`` to ``high``.

    ``scale`` is a float32 number: runtimes hold no other.
    """

    scale: float
    zero_point: int
    low: int
    high: int
    dtype: torch.dtype

    def stored(self, positions: torch.Tensor) -> torch.Tensor:
        """Return whole numbers, the zero point in them, clipped to the grid, in its dtype."""
        return positions.clamp(self.low, self.high).to(self.dtype)

    def centred(self, integers: torch.Tensor) -> torch.Tensor:
        """Return ``q − zero_point`` in float32, which holds it exactly."""
        return integers.to(torch.float32) - self.zero_point

    def narrowed(self, low: float | None, high: float | None) -> Grid:
        """Return the grid between two real bounds (``None``: open), as a fused activation clips.

        A bound is ``round(bound / scale + zero_point)`` in float32, halves to even
        (``xnn_qs8_quantize``, XNNPACK's ``src/xnnpack/requantization.h``).
        """
        return dataclasses.replace(
            self,
            low=self.low if low is None else self._position(low),
            high=self.high if high is None else self._position(high),
        )

    def _position(self, real: float) -> int:
        position = float32(real) / float32(self.scale) + self.zero_point
        return int(position.clamp(self.low, self.high).round().item())


def float32(number: float) -> torch.Tensor:
    """Return a number rounded to float32, without dimensions."""
    return torch.tensor(number, dtype=torch.float32)


def grid_of(node: fx.Node) -> Grid:
    """Return the grid of a ``quantize_per_tensor`` or ``dequantize_per_tensor`` node."""
    bound = arguments(node)
    return Grid(
        scale=float32(bound["scale"]).item(),
        zero_point=int(bound["zero_point"]),
        low=int(bound["quant_min"]),
        high=int(bound["quant_max"]),
        dtype=bound["dtype"],
    )
