"""Multiply-accumulates of contractions, from shapes alone. Zero padding counts like data."""

from __future__ import annotations

import math
from collections.abc import Sequence

Shape = Sequence[int]
_FACTORS = 2
"""Of an Einstein summation that is counted."""


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


def einsum(equation: str, shapes: Sequence[Shape]) -> int | None:
    """Return the products of two factors over every index, if at least one is summed over.

    An index that only one factor has and the result has not is summed before the product; it
    does not multiply the work of the others. Without an index to sum over, it is elementwise work
    or an outer product, which count nothing. ``None`` for other than two factors.

    Raises:
        ValueError: equation and shapes contradict each other.
    """
    terms, arrow, result = equation.replace(" ", "").partition("->")
    factors = [_labelled(term, shape) for term, shape in _pairs(terms.split(","), shapes)]
    if len(factors) != _FACTORS:
        return None
    left, right = factors
    kept = _labels(result) if arrow else _implied(terms)
    shared = set(left) & set(right)
    if not {label for label in shared - kept if not _is_dots(label)}:
        return 0
    lengths = {label: max(left.get(label, 1), right.get(label, 1)) for label in left | right}
    return math.prod(n for label, n in lengths.items() if label in kept | shared or _is_dots(label))


def _pairs(terms: Sequence[str], shapes: Sequence[Shape]) -> list[tuple[str, Shape]]:
    return list(zip(terms, shapes, strict=True))


def _labelled(term: str, shape: Shape) -> dict[str, int]:
    """Return the length of every index; those of an ellipsis are counted from the last."""
    before, dots, after = term.partition("...")
    hidden = len(shape) - len(before) - len(after)
    if hidden < 0 or (hidden and not dots):
        raise ValueError(f"{term!r} does not fit a tensor of {len(shape)} dimensions")
    labels = [*before, *(f".{place}" for place in range(hidden, 0, -1)), *after]
    found: dict[str, int] = {}
    for label, length in zip(labels, shape, strict=True):
        if length != 1 and found.get(label, 1) not in (1, length):
            raise ValueError(f"index {label!r} has lengths {found[label]} and {length}")
        found[label] = max(found.get(label, 1), length)
    return found


def _labels(term: str) -> set[str]:
    return set(term.replace("...", ""))


def _implied(terms: str) -> set[str]:
    """Return the result's indices where the equation gives none: those that stand there once."""
    names = terms.replace("...", "").replace(",", "")
    return {name for name in names if names.count(name) == 1}


def _is_dots(label: str) -> bool:
    return label.startswith(".")
