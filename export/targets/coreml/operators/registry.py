"""All kernels by MIL op kind: one table per group of ops, joined."""

from __future__ import annotations

from collections.abc import Iterable

from cnn_export.targets.coreml.operators import (
    activation,
    binary,
    convolution,
    creation,
    gathering,
    layout,
    linear,
    normalization,
    padding,
    pooling,
    quantization,
    reduction,
    resizing,
    slicing,
    unary,
)
from cnn_export.targets.coreml.operators.signature import Kernel, Kernels


def join(tables: Iterable[Kernels]) -> dict[str, Kernel]:
    """Return the union of the tables.

    Raises:
        ValueError: two tables hold the same op kind.
    """
    joined: dict[str, Kernel] = {}
    for table in tables:
        if twice := joined.keys() & table.keys():
            raise ValueError(f"kernels registered twice: {sorted(twice)}")
        joined.update(table)
    return joined


KERNELS = join(
    module.KERNELS
    for module in (
        activation,
        binary,
        convolution,
        creation,
        gathering,
        layout,
        linear,
        normalization,
        padding,
        pooling,
        quantization,
        reduction,
        resizing,
        slicing,
        unary,
    )
)
