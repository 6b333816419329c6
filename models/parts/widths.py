"""Width multipliers: how many channels a layer has then."""

from __future__ import annotations


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of ``divisor`` without losing more than 10 % (MobileNetV2's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
