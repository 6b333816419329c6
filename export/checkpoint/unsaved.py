"""Tensors of a network that no checkpoint holds: they would be exported as they were drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import nn

from cnn_export.checkpoint.matching import listed
from cnn_export.errors import CheckpointError


def require_saved(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Refuse parameters and layers that are in no ``state_dict``, and so not from the file.

    ``state`` is ``module``'s own, with the variables themselves. Buffers that are declared not
    persistent are the class's constants.

    Raises:
        CheckpointError: names them.
    """
    saved = {_place(value) for value in state.values() if isinstance(value, torch.Tensor)}
    unsaved = [n for n, t in _registered(module) if t.numel() and _place(t) not in saved]
    if unsaved:
        raise CheckpointError(
            f"{type(module).__name__} leaves {listed(unsaved)} out of its state_dict, so no"
            " checkpoint holds them; let state_dict() return every parameter and buffer"
        )
    loose = list(_loose(module, saved))
    if loose:
        raise CheckpointError(
            f"{type(module).__name__} keeps layers in {listed(loose)}, which no checkpoint holds;"
            " use nn.ModuleList, nn.ModuleDict or nn.ParameterList"
        )


def _place(tensor: torch.Tensor) -> tuple[int, tuple[int, ...]]:
    return tensor.data_ptr(), tuple(tensor.shape)


def _registered(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for path, part in module.named_modules():
        prefix = f"{path}." if path else ""
        for name, parameter in part.named_parameters(recurse=False):
            yield prefix + name, parameter
        for name, buffer in part.named_buffers(recurse=False):
            if name not in part._non_persistent_buffers_set:  # pyright: ignore[reportPrivateUsage]  (torch has no public way to ask)
                yield prefix + name, buffer


def _loose(module: nn.Module, saved: set[tuple[int, tuple[int, ...]]]) -> Iterator[str]:
    """Yield the plain lists, tuples and dicts that hold unregistered layers or parameters."""
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if not name.startswith("_") and any(_place(t) not in saved for t in _inside(value)):
                yield f"{path}.{name}" if path else name


def _inside(value: object) -> Iterator[torch.Tensor]:
    items: Iterable[object] = ()
    if isinstance(value, Mapping):
        items = cast(Mapping[object, object], value).values()
    elif isinstance(value, (list, tuple)):
        items = cast(Iterable[object], value)
    for item in items:
        if isinstance(item, nn.Module):
            yield from item.parameters()
        elif isinstance(item, nn.Parameter):
            yield item
