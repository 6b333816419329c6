"""Elementwise ops of one tensor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Kernel, UnsupportedArgument

_CAST_DTYPES = {
    "bool": torch.bool,
    "fp16": torch.float32,  # rounded to float16 afterwards, as the program declares
    "fp32": torch.float32,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "uint8": torch.uint8,
}


def unary(function: Callable[[Tensor], Tensor]) -> Kernel:
    """Return the kernel of an op whose only parameter is ``x``."""

    def kernel(x: Tensor) -> Tensor:
        return function(x)

    return kernel


def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Return min(max(x, alpha), beta)."""
    return x.clamp(alpha, beta)


def threshold(x: Tensor, alpha: float) -> Tensor:
    """Return max(x, alpha)."""
    return x.clamp(min=alpha)


def inverse(x: Tensor, epsilon: float = 1e-4) -> Tensor:
    """Return 1 / (x + epsilon)."""
    return torch.reciprocal(x + epsilon)


def log(x: Tensor, epsilon: float = 1e-45) -> Tensor:
    """Return the natural logarithm of x + epsilon."""
    return torch.log(x + epsilon)


def rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    """Return 1 / √(x + epsilon)."""
    return torch.rsqrt(x + epsilon)


def cast(x: Tensor, dtype: str) -> Tensor:
    """Return x as ``dtype`` (``fp32``, ``int32``, …); floats are truncated towards zero."""
    if dtype not in _CAST_DTYPES:
        raise UnsupportedArgument(f"dtype {dtype!r} is unknown")
    return x.to(_CAST_DTYPES[dtype])


KERNELS: dict[str, Kernel] = {
    "abs": unary(torch.abs),
    "acos": unary(torch.acos),
    "asin": unary(torch.asin),
    "atan": unary(torch.atan),
    "atanh": unary(torch.atanh),
    "cast": cast,
    "ceil": unary(torch.ceil),
    "clip": clip,
    "cos": unary(torch.cos),
    "cosh": unary(torch.cosh),
    "erf": unary(torch.erf),
    "exp": unary(torch.exp),
    "exp2": unary(torch.exp2),
    "floor": unary(torch.floor),
    "identity": unary(lambda x: x),
    "inverse": inverse,
    "log": log,
    "logical_not": unary(torch.logical_not),
    "round": unary(torch.round),
    "rsqrt": rsqrt,
    "sign": unary(torch.sign),
    "sin": unary(torch.sin),
    "sinh": unary(torch.sinh),
    "sqrt": unary(torch.sqrt),
    "square": unary(torch.square),
    "tan": unary(torch.tan),
    "tanh": unary(torch.tanh),
    "threshold": threshold,
}
