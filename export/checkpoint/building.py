"""Networks without memory for weights that a checkpoint is about to replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from cnn_export.checkpoint.matching import is_counter

Built = TypeVar("Built")
_INITIALIZERS = (torch.Tensor.normal_, torch.Tensor.uniform_)


class EmptyOnMeta(TorchFunctionMode):
    """Inside this context ``torch.empty`` allocates nothing (device ``meta``).

    Layers create their weights with ``torch.empty``; what a constructor really computes
    (schedules, position indices) stays real, which ``torch.device("meta")`` would not allow.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Redirect ``torch.empty`` without an explicit device, pass on everything else."""
        named = dict(kwargs or {})
        if func in _INITIALIZERS and args[0].is_meta:
            return args[0]  # nothing to fill, and torch takes half of the build time to say so
        if func is torch.empty and named.get("device") is None:
            named["device"] = "meta"
        return func(*args, **named)


def build_empty(build: Callable[..., Built], arguments: Mapping[str, Any]) -> Built:
    """Call ``build`` without allocating weights."""
    with EmptyOnMeta():
        return build(**arguments)


def fill(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> nn.Module | None:
    """Give ``module`` the float32 tensors, which must match it, and set it to ``eval``.

    Returns None if something that no checkpoint holds was left without memory by
    :func:`build_empty`; the network must then be built with memory.

    Raises:
        TypeError: a tensor has another dtype than the network's; names it.
    """
    state = module.state_dict(keep_vars=True)
    complete = {name: _value(name, state, tensors) for name in state}
    module.load_state_dict(_versioned(complete, module), strict=True, assign=True)
    module.float().eval().requires_grad_(False)
    return None if _left_empty(module) else module


def _value(
    name: str, state: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    wanted = state[name]
    if name not in tensors and is_counter(name):
        return torch.zeros((), dtype=torch.int64)
    if name not in tensors:  # tied to a tensor that is present
        twin = next(n for n, tensor in state.items() if tensor is wanted and n in tensors)
        return tensors[twin]
    value = tensors[name]
    if is_counter(name):
        return value.to(torch.int64)
    both_floating = value.is_floating_point() and wanted.is_floating_point()
    if value.dtype != wanted.dtype and not both_floating:
        raise TypeError(f"{name} is {_dtype(value)}, the network's is {_dtype(wanted)}")
    return value


def _versioned(state: dict[str, Any], module: nn.Module) -> dict[str, Any]:
    """Attach the layer versions of ``module``: all names match, so nothing is to be migrated.

    Without them torchvision's MNASNet refuses and batch norm fills in its counter.
    """
    ordered = module.state_dict()
    ordered.update(state)
    return ordered


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _left_empty(module: nn.Module) -> bool:
    return any(
        isinstance(value, torch.Tensor) and value.is_meta
        for part in module.modules()
        for values in (part._parameters, part._buffers, vars(part))  # pyright: ignore[reportPrivateUsage]  (named_buffers would skip duplicates, not non-persistent ones; this sees plain attributes too)
        for value in values.values()
    )
