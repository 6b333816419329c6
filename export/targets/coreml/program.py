"""A MIL program as plain values: what a package holds, free of protobuf."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch

Constant = torch.Tensor | str
"""The value of a ``const``: a tensor (rank 0 for a scalar) or a string attribute."""


@dataclasses.dataclass(frozen=True)
class ValueType:
    """Name, torch dtype and shape of one value; ``-1`` marks a dimension known at run time."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Reference:
    """The use of a value by its name."""

    name: str


@dataclasses.dataclass(frozen=True)
class Operation:
    """One op: its kind (``conv``), arguments by parameter, and the values it defines."""

    kind: str
    arguments: Mapping[str, tuple[Reference | Constant, ...]]
    outputs: tuple[ValueType, ...]

    @property
    def name(self) -> str:
        """The first value the op defines; names the op in messages."""
        return self.outputs[0].name if self.outputs else self.kind


@dataclasses.dataclass(frozen=True)
class MilProgram:
    """The ``main`` function of a package.

    ``operations`` are in order of execution, without ``const``; ``pixel_inputs`` names the inputs
    that a caller gives as images.
    """

    inputs: tuple[ValueType, ...]
    outputs: tuple[str, ...]
    operations: tuple[Operation, ...]
    constants: Mapping[str, Constant]
    batch_range: tuple[int, int]
    pixel_inputs: frozenset[str]
