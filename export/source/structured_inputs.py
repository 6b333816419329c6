"""A network that takes dicts of tensors, called with the tensors alone."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from cnn_export.errors import UsageError

Example = Tensor | Mapping[str, Tensor]
"""What one argument of ``forward`` is given."""


class _FlatInputs(nn.Module):
    """network(x, {"a": y, "b": z}), called with x, y and z; ``keys`` are None for x."""

    def __init__(self, network: nn.Module, keys: Sequence[tuple[str, ...] | None]) -> None:
        super().__init__()
        self.network = network
        self.keys = tuple(keys)

    def call(self, *tensors: Tensor) -> object:
        left = iter(tensors)
        given = [
            next(left) if keys is None else {key: next(left) for key in keys} for keys in self.keys
        ]
        return self.network(*given)


def with_flat_inputs(
    network: nn.Module, examples: Sequence[Example]
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Return a network of tensors and its examples: itself, or one that puts dicts together.

    Those in a dict are called by their keys, others as ``forward`` calls them.

    Raises:
        UsageError: a key is no name.
    """
    if all(isinstance(example, Tensor) for example in examples):
        return network, flat(examples)
    keys = [None if isinstance(each, Tensor) else tuple(each) for each in examples]
    arguments = list(inspect.signature(network.forward).parameters)
    names = [
        name
        for argument, inner in zip(arguments, keys, strict=False)
        for name in ((argument,) if inner is None else inner)
    ]
    for name in names:
        if not str(name).isidentifier():
            raise UsageError(
                f"the key {name!r} of an input cannot name one; use letters, digits, _"
            )
    return _called_by(names, type(network).__name__)(network, keys), flat(examples)


def flat(examples: Sequence[Example]) -> tuple[Tensor, ...]:
    """Return all tensors in order."""
    return tuple(
        tensor
        for each in examples
        for tensor in ((each,) if isinstance(each, Tensor) else each.values())
    )


def _called_by(names: Sequence[str], called: str) -> type[_FlatInputs]:
    """Return the class whose ``forward`` has arguments of these names."""

    def forward(self: _FlatInputs, *tensors: Tensor) -> object:
        return self.call(*tensors)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signed: Any = forward
    signed.__signature__ = inspect.Signature(
        [inspect.Parameter(name, kind) for name in ("self", *dict.fromkeys(names))]
    )
    return type(called, (_FlatInputs,), {"forward": forward})
