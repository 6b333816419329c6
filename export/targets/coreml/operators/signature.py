"""Call a kernel with a MIL op's arguments, converted as the kernel's annotations ask.

A kernel is a plain function named after nothing but its parameters: those are the op's MIL
parameters, their defaults are MIL's defaults, and their annotations say what it wants to see. An
argument the kernel does not declare is refused, never ignored.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cnn_export.targets.coreml.program import Constant

Ints = tuple[int, ...]
Bools = tuple[bool, ...]
Tensors = list[Tensor]
Kernel = Callable[..., Tensor | Sequence[Tensor]]
Kernels = Mapping[str, Kernel]


class UnsupportedArgument(ValueError):
    """An argument, or a value of one, that a kernel does not compute."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: the annotation without ``| None``, and whether it is needed."""

    annotation: Any
    required: bool


@functools.cache
def parameters(kernel: Kernel) -> dict[str, Parameter]:
    """Return the MIL parameters that a kernel understands."""
    hints = typing.get_type_hints(kernel)
    return {
        name: Parameter(_without_none(hints[name]), parameter.default is parameter.empty)
        for name, parameter in inspect.signature(kernel).parameters.items()
    }


def check_names(kernel: Kernel, given: Iterable[str]) -> None:
    """Refuse arguments that the kernel does not know, and the absence of those it needs.

    Raises:
        UnsupportedArgument: names the parameter.
    """
    known, names = parameters(kernel), set(given)
    if unknown := sorted(names - known.keys()):
        raise UnsupportedArgument(f"parameter {unknown[0]!r} is unknown")
    missing = [name for name, p in known.items() if p.required and name not in names]
    if missing:
        raise UnsupportedArgument(f"parameter {missing[0]!r} is missing")


def call(kernel: Kernel, arguments: Mapping[str, Sequence[Constant]]) -> Sequence[Tensor]:
    """Run the kernel and return its results as a sequence.

    Half-precision tensors reach the kernel as float32: sums accumulate there.
    """
    check_names(kernel, arguments)
    known = parameters(kernel)
    result = kernel(
        **{name: _convert(values, known[name].annotation) for name, values in arguments.items()}
    )
    return [result] if isinstance(result, Tensor) else result


def _without_none(annotation: Any) -> Any:
    if isinstance(annotation, types.UnionType):
        return next(arg for arg in annotation.__args__ if arg is not type(None))
    return annotation


def _convert(values: Sequence[Constant], annotation: Any) -> Any:
    if annotation is str:
        return values[0]
    tensors = [_widen(value) for value in values if isinstance(value, Tensor)]
    if annotation == Tensors:
        return tensors
    if annotation is Tensor:
        return tensors[0]
    if annotation in (int, float, bool):
        return annotation(tensors[0].item())
    element = annotation.__args__[0]
    return tuple(element(item) for item in tensors[0].flatten().tolist())


def _widen(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value
