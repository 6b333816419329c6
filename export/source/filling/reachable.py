"""Tensors that a network holds beside its ``state_dict``: attributes, lists, plain objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any, cast

import numpy as np
import torch
from torch import nn

_OF_TORCH = frozenset(vars(nn.Module()))
_DEPTH = 8
_COUNT = 100_000
_CLOSED = (str, bytes, int, float, complex, type, FunctionType, MethodType, ModuleType)


def reachable(module: nn.Module) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Yield path, attribute and tensor of what no module registers, numpy arrays included.

    The path leads to the tensor, the attribute to what a user can change. Tensors that are
    registered somewhere in ``module`` come too where an attribute leads to them.
    """
    seen = {id(part) for part in module.modules()}
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if name not in _OF_TORCH:
                attribute = f"{path}.{name}" if path else name
                for where, tensor in _inside(value, attribute, seen, _DEPTH):
                    yield where, attribute, tensor


def _inside(
    value: object, path: str, seen: set[int], depth: int
) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value if value.layout is torch.strided else value.to_dense()
    elif isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
            yield path, torch.from_numpy(value.astype(np.float64))
    elif not isinstance(value, _CLOSED) and depth and len(seen) < _COUNT and id(value) not in seen:
        seen.add(id(value))
        for key, item in _items(value):
            yield from _inside(item, f"{path}{key}", seen, depth - 1)


def _items(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, nn.Module):
        yield from ((f".{name}", item) for name, item in value.named_parameters())
        yield from ((f".{name}", item) for name, item in value.named_buffers())
    if isinstance(value, Mapping):
        yield from ((f"[{k!r}]", v) for k, v in cast(Mapping[object, object], value).items())
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{i}]", v) for i, v in enumerate(cast(list[object], value)))
    if not isinstance(value, nn.Module):
        held = cast(dict[str, Any], getattr(value, "__dict__", {}))
        yield from ((f".{name}", item) for name, item in held.items())
