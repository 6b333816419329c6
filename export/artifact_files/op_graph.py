"""An artifact's operators and tensors as plain values: what every reader produces.

Operators stand in order of execution; tensors are found by a key that is unique in the file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from itertools import chain
from typing import Literal

from cnn_export.errors import InputRefused

Category = Literal[
    "contraction",
    "pool",
    "activation",
    "elementwise",
    "padding",
    "layout",
    "copy",
    "window",
    "conversion",
    "view",
    "constant",
    "unknown",
]
"""What an operator is for.

``window`` copies a part and reads no more than it writes; ``view`` moves nothing; ``constant``
works on constants alone, once at load; ``unknown`` is not in the format's table, so nothing is
claimed about its arithmetic.
"""


def word_set(words: str) -> frozenset[str]:
    """Return the words of one text, separated by blanks."""
    return frozenset(words.split())


def kinds_by_category(words: Mapping[Category, str]) -> dict[str, Category]:
    """Return the category of every kind, from kinds written as one text per category."""
    return {kind: category for category, kinds in words.items() for kind in kinds.split()}


BITS: dict[str, int] = {
    "bool": 8,
    "int2": 2,
    "int4": 4,
    "uint4": 4,
    "int8": 8,
    "uint8": 8,
    "int16": 16,
    "uint16": 16,
    "float16": 16,
    "bfloat16": 16,
    "int32": 32,
    "uint32": 32,
    "float32": 32,
    "int64": 64,
    "uint64": 64,
    "float64": 64,
    "float8": 8,
    "complex64": 64,
    "complex128": 128,
}
"""Bits an element takes, by the name of its dtype."""


def at_batch_one(sizes: tuple[int, ...], batch: int | None) -> tuple[int, ...]:
    """Return the sizes with the first set to 1 where it is ``batch``, what a file recorded.

    Formats with a dynamic batch record some size all the same: a bound, or the traced one.
    """
    return (1, *sizes[1:]) if batch is not None and sizes[:1] == (batch,) else sizes


_ELEMENTS_MAX = 2**40
"""No mobile network has a tensor like this; a damaged size field easily does."""
_RANK_MAX = 64


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One value: its shape at batch 1 where the batch is dynamic, its dtype, whether stored."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: bool = False

    def __post_init__(self) -> None:
        """Refuse what no runtime could hold.

        Raises:
            InputRefused: a size is negative, the tensor is absurdly large, or the dtype unknown.
        """
        if self.dtype not in BITS:
            raise InputRefused(
                f"tensor {self.name!r} has dtype {self.dtype}, whose size is unknown"
            )
        if len(self.shape) > _RANK_MAX:
            raise InputRefused(f"tensor {self.name!r} has {len(self.shape)} dimensions")
        if min(self.shape, default=1) < 0 or math.prod(self.shape) > _ELEMENTS_MAX:
            raise InputRefused(
                f"tensor {self.name!r} declares shape {list(self.shape)}; the file is damaged"
            )

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in its own dtype; elements narrower than a byte are packed."""
        return -(-self.elements * BITS[self.dtype] // 8)


@dataclasses.dataclass(frozen=True)
class Op:
    """One operator. ``inputs`` are the tensors it computes with, not shapes, axes or paddings.

    ``macs`` is ``None`` where the reader cannot tell. ``partition`` is the delegate's that holds
    the operator.
    """

    name: str
    kind: str
    category: Category
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    macs: int | None = 0
    partition: int | None = None


@dataclasses.dataclass(frozen=True)
class OpGraph:
    """A whole artifact. ``batch`` is the size the figures stand for (1 where it is dynamic)."""

    format: str
    tensors: Mapping[str, Tensor]
    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a graph that uses what it does not describe.

        Raises:
            InputRefused: names the first such tensor.
        """
        used = chain(self.inputs, self.outputs, *((*op.inputs, *op.outputs) for op in self.ops))
        for key in used:
            if key not in self.tensors:
                raise InputRefused(f"{key!r} is used but nowhere described; export it again")

    @property
    def batch(self) -> int:
        """First size of the first input; 1 where there is none."""
        shape = self.tensors[self.inputs[0]].shape if self.inputs else ()
        return shape[0] if shape else 1
