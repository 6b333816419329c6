"""Elementwise ops of two tensors with broadcasting, and ``select``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Kernel, UnsupportedArgument


def binary(function: Callable[[Tensor, Tensor], Tensor]) -> Kernel:
    """Return the kernel of an op with the parameters ``x`` and ``y``."""

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)

    return kernel


def real_div(x: Tensor, y: Tensor) -> Tensor:
    """Return x / y for floats; how Core ML rounds an integer quotient is not documented."""
    if not x.dtype.is_floating_point:
        raise UnsupportedArgument("the quotient of integers is not documented")
    return x / y


def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return a where cond, else b."""
    return torch.where(cond.bool(), a, b)


KERNELS: dict[str, Kernel] = {
    "add": binary(torch.add),
    "equal": binary(torch.eq),
    "floor_div": binary(torch.floor_divide),
    "greater": binary(torch.gt),
    "greater_equal": binary(torch.ge),
    "less": binary(torch.lt),
    "less_equal": binary(torch.le),
    "logical_and": binary(torch.logical_and),
    "logical_or": binary(torch.logical_or),
    "logical_xor": binary(torch.logical_xor),
    "maximum": binary(torch.maximum),
    "minimum": binary(torch.minimum),
    "mod": binary(torch.remainder),
    "mul": binary(torch.mul),
    "not_equal": binary(torch.ne),
    "pow": binary(torch.pow),
    "real_div": real_div,
    "select": select,
    "sub": binary(torch.sub),
}
