"""The identity tensor multiplier α of MobileNeXt (arXiv 2007.02269).

A shortcut with α < 1 adds only the first ``α·C`` channels of its input. No tensor of a checkpoint
depends on α, so it has to be said. Integers only: nothing here needs torch.
"""

from __future__ import annotations

import math
from fractions import Fraction

ARGUMENT = "identity_tensor_multiplier"
"""Its name as a builder's argument, as an attribute of a network and in checkpoints."""

PUBLISHED = (Fraction(1), Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))

Multiplier = Fraction | float | str

MAX_DIVISOR = 2**16
"""No layer has more channels of which one could be kept."""

_DIVISOR_SLACK = 0.02
"""How far 1 / decimal may lie from a whole number: 0.333 and 0.167 are 1/3 and 1/6."""


def parse_multiplier(value: object) -> Fraction:
    """Return the unit fraction that ``1``, ``"1/2"``, ``0.5`` or ``Fraction(1, 2)`` spells.

    Raises:
        ValueError: not 1 divided by a whole number, at most :data:`MAX_DIVISOR`.
    """
    fraction = _fraction(value)
    if fraction is None or not Fraction(1, MAX_DIVISOR) <= fraction <= 1:
        raise _refused(value)
    divisor = round(1 / fraction)
    exact = Fraction(1, divisor)
    decimal = isinstance(value, float) or (isinstance(value, str) and "/" not in value)
    if fraction != exact and not (decimal and abs(1 / fraction - divisor) <= _DIVISOR_SLACK):
        raise _refused(value)
    return exact


def kept_channels(channels: int, multiplier: Fraction) -> int:
    """Return how many of a shortcut's channels are added: ``C // round(1/α)``, as published.

    Raises:
        ValueError: none would be.
    """
    kept = channels // round(1 / multiplier)
    if kept == 0:
        raise ValueError(
            f"the identity tensor multiplier {multiplier} keeps none of {channels} channels"
        )
    return kept


def _fraction(value: object) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Fraction)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    try:
        # Exactly, 1e-999999999 has a billion digits.
        if isinstance(value, str) and "/" not in value and not 0 < float(value) <= 1:
            return None
        return Fraction(value)
    except (ValueError, ZeroDivisionError):
        return None


def _refused(value: object) -> ValueError:
    return ValueError(
        f"the identity tensor multiplier {str(value)[:40]!r} is not 1 or 1/n;"
        f" published are 1, 1/2, 1/3 and 1/6, n is at most {MAX_DIVISOR}"
    )
