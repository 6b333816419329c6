"""What ``forward`` may return: tensors, and tuples, lists, dicts and dataclasses of such."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from torch.utils import _pytree as pytree


def flatten(value: Any) -> list[Any]:
    """Return the leaves of a nested structure, in order; fields that are ``None`` are no leaves."""
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flatten(item)]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in flatten(item)]
    if _is_record(value):
        return [leaf for name in _names(value) for leaf in flatten(getattr(value, name))]
    return [value]


def output_names(spec: pytree.TreeSpec | None, count: int) -> list[str]:
    """Return the keys of a dict or the fields of a dataclass of ``count`` tensors, else numbers."""
    if spec is not None and spec.num_leaves == count == spec.num_children:
        kind: Any = spec.type
        if issubclass(kind, dict) or dataclasses.is_dataclass(kind):
            return [str(key) for key in spec.context]
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def make_known(value: Any) -> None:
    """Let torch take apart the dataclasses in what a network returned, and put them together."""
    if _is_record(value):
        _register(type(value))
        value = [getattr(value, name) for name in _names(value)]
    elif isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            make_known(each)


def _register(kind: type) -> None:
    if kind in pytree.SUPPORTED_NODES:
        return

    def apart(record: Any) -> tuple[list[Any], list[str]]:
        names = _names(record)
        return [getattr(record, name) for name in names], names

    def together(values: Iterable[Any], names: list[str]) -> Any:
        return kind(**dict(zip(names, values, strict=True)))

    pytree.register_pytree_node(kind, apart, together)


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, (type, dict))


def _names(record: Any) -> list[str]:
    names = [field.name for field in dataclasses.fields(record)]
    return [name for name in names if getattr(record, name) is not None]
