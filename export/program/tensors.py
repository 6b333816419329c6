"""The values that cross the border of a network: arrays by name, and what is known of each."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, Protocol

import numpy.typing as npt
import torch

Array = npt.NDArray[Any]
Tensors = dict[str, Array]
"""Values by input or output name, in the program's order."""

Precision = Literal["fp32", "fp16", "int8", "int8-weights", "int8-dynamic"]
"""``int8-weights``: weights in 8 bits, everything else in float32. ``int8-dynamic``: layers in
integers, their inputs rounded to the range of each run."""
Layout = Literal["nchw", "nhwc"]


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Name, shape (``-1`` marks the dynamic batch) and torch dtype of one input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        """Return the dtype without its ``torch.`` prefix, e.g. ``float32``."""
        return str(self.dtype).removeprefix("torch.")


class Session(Protocol):
    """A loaded artifact."""

    def __call__(self, inputs: Tensors) -> Tensors:
        """Run once. Arrays use the artifact's own layout and dtype."""
        ...
