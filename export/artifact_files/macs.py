"""Multiply-accumulates of contractions, from shapes alone. Zero padding counts like data."""

from __future__ import annotations

import math
from collections.abc import Sequence

Shape = Sequence[int]


def convolution(output: Shape, weight_per_output: Shape) -> int:
    """Every output element sums over the kernel and its group's input channels.

    ``weight_per_output`` are the sizes of one output channel's kernel, in any order.
    """
    return math.prod(output) * math.prod(weight_per_output)


def transposed_convolution(source: Shape, weight_per_input: Shape) -> int:
    """Every input element is spread over the kernel and its group's output channels."""
    return math.prod(source) * math.prod(weight_per_input)


def matrix_product(output: Shape, summed: int) -> int:
    """Every output element sums over ``summed`` products."""
    return math.prod(output) * summed


def fully_connected(source: Shape, weight: Shape) -> int:
    """Every row of the source, as long as a row of ``weight`` (out, in), meets every weight."""
    return math.prod(source) // weight[-1] * math.prod(weight) if weight[-1] else 0


def attention(query: Shape, key: Shape, value: Shape) -> int:
    """``softmax(Q·Kᵀ)·V``: (…, L, E), (…, S, E), (…, S, Ev)."""
    return math.prod(query) * key[-2] + math.prod(query[:-1]) * math.prod(value[-2:])
