"""Strict comparison of a checkpoint's tensors with a network's, by name and shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from cnn_export.errors import CheckpointError, one_line
from cnn_export.models.registry import Shapes

_SHOWN = 3
_COUNTER = "num_batches_tracked"
"""Batch norm counts its training steps there; inference does not read it."""


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """Where tensors and network disagree. Empty when they agree.

    ``wrong_shape`` holds (name, shape in the file, shape in the network); ``agreeing`` counts the
    tensors equal in name and shape; ``expected`` counts the network's.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    agreeing: int
    expected: int
    counters_missing: int = 0

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.wrong_shape)

    @property
    def problems(self) -> int:
        """How many tensors disagree."""
        return len(self.missing) + len(self.unexpected) + len(self.wrong_shape)

    def __str__(self) -> str:
        parts = [
            _counted(self.missing, f"of {self.expected} tensors missing"),
            _counted(self.unexpected, "unexpected"),
            _counted([_shapes(*entry) for entry in self.wrong_shape], "of another shape"),
        ]
        return "; ".join(part for part in parts if part)


def shapes_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return tensor names with their shapes."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def state_of(module: nn.Module) -> dict[str, Any]:
    """Return the network's own ``state_dict`` with the variables themselves, not detached ones.

    Raises:
        CheckpointError: the class fails to give it, or has layers whose sizes are still open.
    """
    try:
        state: dict[str, Any] = dict(module.state_dict(keep_vars=True))
    except Exception as error:
        raise CheckpointError(
            f"{type(module).__name__} fails to give its state_dict:"
            f" {type(error).__name__}: {one_line(error)}"
        ) from error
    lazy = [name for name, value in state.items() if is_lazy(value)]
    if lazy:
        raise CheckpointError(
            f"{listed(lazy)} of {type(module).__name__} have no size yet (lazy layers);"
            " build the network with sizes"
        )
    return state


def tensors_of(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return what of a ``state_dict`` is a tensor; the rest comes from ``get_extra_state``."""
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def compare(found: Shapes, module: nn.Module) -> Mismatch:
    """Compare the checkpoint's shapes with every parameter and persistent buffer of ``module``.

    A name may be missing where the network ties it to one that is present, and batch norm's
    counters may be missing altogether.
    """
    state = tensors_of(state_of(module))
    expected = shapes_of(state)
    present = {id(state[name]) for name in expected if name in found}
    absent = [n for n in expected if n not in found and id(state[n]) not in present]
    missing = [name for name in absent if not is_counter(name)]
    wrong = [
        (name, found[name], shape)
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    return Mismatch(
        missing=tuple(missing),
        unexpected=tuple(name for name in found if name not in expected),
        wrong_shape=tuple(wrong),
        agreeing=sum(found.get(name) == shape for name, shape in expected.items()),
        expected=len(expected),
        counters_missing=len(absent) - len(missing),
    )


def is_counter(name: str) -> bool:
    """Whether the tensor only counts training steps."""
    return name.rpartition(".")[2] == _COUNTER


def listed(names: Sequence[str]) -> str:
    """Return the first few names and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def dtype_text(tensor: torch.Tensor) -> str:
    """Return ``float32`` for ``torch.float32``."""
    return str(tensor.dtype).removeprefix("torch.")


def _counted(names: Sequence[str], what: str) -> str:
    return f"{len(names)} {what}: {listed(names)}" if names else ""


def _shapes(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return f"{name} is {_size(found)}, the network's {_size(expected)}"


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
