"""Channel counts: rounded at a width multiplier, and refused where there are none."""

from __future__ import annotations


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of ``divisor`` without losing more than 10 % (MobileNetV2's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def require_positive(network: str, *sizes: int) -> None:
    """Refuse sizes below 1: class counts, input channels, widths.

    Raises:
        ValueError: names the network.
    """
    if min(sizes) < 1:
        raise ValueError(f"{network} needs classes, in_channels and widths above 0, got {sizes}")
