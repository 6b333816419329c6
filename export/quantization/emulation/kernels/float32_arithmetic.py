"""Float32 arithmetic that torch has no operator for: fused steps and sums in a given order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

SIXTH = torch.tensor(1 / 6, dtype=torch.float32)


def fused_multiply_add(
    left: torch.Tensor, right: torch.Tensor | float, addend: torch.Tensor | float
) -> torch.Tensor:
    """Return ``left·right + addend``, rounded once to float32.

    The product of two float32 numbers is exact in float64. The sum there is too as long as its
    addends are within 2^29 of each other in their last places, as they are in quantized networks.
    """
    right = right.double() if isinstance(right, torch.Tensor) else right
    addend = addend.double() if isinstance(addend, torch.Tensor) else addend
    return (left.double() * right + addend).to(torch.float32)


@dataclasses.dataclass(frozen=True)
class Reduction:
    """A tensor with the dimensions that shall be reduced moved to the end and joined.

    ``rows``: (…, n). ``trailing``: they were last already, so rows lie one after the other.
    """

    rows: torch.Tensor
    trailing: bool
    _shape: tuple[int, ...]

    def shaped(self, reduced: torch.Tensor) -> torch.Tensor:
        """Return the reduced rows in the shape that the operator yields."""
        return reduced.reshape(self._shape)


def reduction(x: torch.Tensor, dim: Sequence[int] | None, keepdim: bool) -> Reduction:
    """Read ``aten.mean``'s arguments (``None`` or no dimension: all of them)."""
    dims = sorted({d % x.ndim for d in dim or range(x.ndim)})
    kept = [d for d in range(x.ndim) if d not in dims]
    shape = [1 if d in dims else size for d, size in enumerate(x.shape) if keepdim or d in kept]
    rows = x.permute(*kept, *dims).flatten(len(kept))
    return Reduction(rows, dims == list(range(len(kept), x.ndim)), tuple(shape))


def sequential_sum(values: torch.Tensor, start: torch.Tensor | None = None) -> torch.Tensor:
    """Add the last dimension from its first element on, to ``start`` if given."""
    total = torch.zeros_like(values[..., 0]) if start is None else start
    for index in range(values.shape[-1]):
        total = total + values[..., index]
    return total
