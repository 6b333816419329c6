"""Every group of tensors in a loaded object, wherever it stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import nn

from cnn_export.source.contents.names import words
from cnn_export.source.contents.places import TRAINING

_MAX_DEPTH = 16
"""Containers within containers; a crafted file could nest itself without end."""
_TRAINING = {*TRAINING, "opt"}
_EXTRA_STATE = "_extra_state"


@dataclasses.dataclass(frozen=True)
class Group:
    """The tensors of one mapping, by name, or of one list, by position (not ``named``).

    ``path`` holds the keys that lead to it, joined by dots, empty for the whole file. ``entries``
    stand among the tensors and are none. ``module`` is set where a whole network was unpickled.
    """

    path: str
    tensors: Mapping[str, torch.Tensor]
    entries: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    module: nn.Module | None = None
    named: bool = True

    @property
    def weighty(self) -> bool:
        """Whether it could be a network: one of its tensors has two dimensions or more."""
        return any(tensor.dim() >= 2 for tensor in self.tensors.values())

    @property
    def of_training(self) -> bool:
        """Whether it stands in an optimizer's state or the like: never what a network holds."""
        return bool(words(self.path) & _TRAINING)


def groups_of(loaded: Any) -> list[Group]:
    """Return the groups in the order of the file, outer ones first."""
    return list(_groups(loaded, "", 0, set()))


def _groups(value: Any, path: str, depth: int, above: set[int]) -> Iterator[Group]:
    if isinstance(value, nn.Module):
        yield _of_module(value, path)
        return
    children = _children(value)
    if children is None or depth > _MAX_DEPTH or id(value) in above:
        return
    tensors = {key: item for key, item in children.items() if isinstance(item, torch.Tensor)}
    if tensors:
        entries = {key: item for key, item in children.items() if key not in tensors}
        yield Group(path, tensors, entries, named=isinstance(value, Mapping))
    for key, item in children.items():
        if not key.endswith(_EXTRA_STATE):
            inner = f"{path}.{key}" if path else key
            yield from _groups(item, inner, depth + 1, {*above, id(value)})


def _children(value: Any) -> dict[str, Any] | None:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, (list, tuple)):
        return {str(index): item for index, item in enumerate(cast(list[Any], value))}
    return None


def _of_module(module: nn.Module, path: str) -> Group:
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    inner = cast(nn.Module, module.module) if isinstance(module, parallel) else module
    state: dict[str, Any] = inner.state_dict()
    tensors = {name: item for name, item in state.items() if isinstance(item, torch.Tensor)}
    return Group(path or "module", tensors, module=inner)
