"""The order in which artifacts take their turns."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


def interleaved(items: Sequence[_T], repeats: int, seed: int) -> list[_T]:
    """Return ``repeats`` rounds of all items, each round in its own order from ``seed``.

    A slow drift of the machine then falls on all items alike.
    """
    generator = random.Random(seed)  # noqa: S311 (an order, not a secret)
    return [item for _ in range(repeats) for item in generator.sample(items, len(items))]
