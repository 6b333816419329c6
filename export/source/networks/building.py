"""Networks without memory for weights that a checkpoint is about to replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

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
