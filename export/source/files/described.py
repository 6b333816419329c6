"""A described checkpoint → the saved object, with torch tensors over the bytes of the file."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import torch

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.snapshot import Snapshot
from cnn_export.untrusted.tensor_files.element_types import SIZES
from cnn_export.untrusted.tensor_files.stored import (
    META,
    NESTED,
    OTHER,
    QUANTIZED,
    SPARSE,
    STRIDED,
    require_inside,
)

_ALIGNMENT = 64
"""Bytes: where torch puts a record of a zip, and its allocator a tensor."""


class Unread:
    """Stands for an object of which nothing was kept but ``name``, that of its class.

    A class of that name for each would take kilobytes: a small file can hold very many.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        """Return the class's name in angle brackets."""
        return f"<{self.name}>"


def class_name(value: Any) -> str:
    """Return the name of the class that a value of a checkpoint had when it was saved."""
    return value.name if isinstance(value, Unread) else type(value).__name__


def built(description: dict[str, Any], snapshot: Snapshot) -> Any:
    """Return the object that :func:`description.describe` described.

    Tensors share the snapshot's pages, copied only where they are written to; those that lie where
    kernels would round otherwise than for torch's own files are copied at once.

    Raises:
        CheckpointError: the description contradicts itself or the file.
    """
    try:
        return _Builder(description, snapshot).value(description["tree"])
    except (LookupError, TypeError, ValueError, RuntimeError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{snapshot.path} was read in a way that makes no sense: {reason}"
        ) from error


class _Builder:
    def __init__(self, description: dict[str, Any], snapshot: Snapshot) -> None:
        self._mapping = snapshot.mapping()
        self._storages: list[Any] = description["storages"]
        self._made: dict[int, torch.UntypedStorage] = {}
        self._tensors = [self._tensor(each) for each in description["tensors"]]

    def value(self, node: Any) -> Any:
        """Return what a node of the tree stands for."""
        if not isinstance(node, list):
            return node
        letter, content = node
        match letter:
            case "x":
                return self._tensors[content]
            case "l":
                return [self.value(item) for item in content]
            case "t":
                return tuple(self.value(item) for item in content)
            case "d":
                return {self.value(key): self.value(item) for key, item in content}
            case "n":
                pairs = {str(self.value(key)): self.value(item) for key, item in content}
                return argparse.Namespace(**pairs)
            case "o":
                return Unread(str(content))
            case _:
                raise ValueError(f"a node {letter!r}")

    def _tensor(self, described: Sequence[Any]) -> torch.Tensor:
        kind, name, storage, offset, shape, stride, negative = described
        if kind != STRIDED:
            return _VALUELESS[kind]()
        dtype = _element_type(name)
        held = self._storage(storage)
        require_inside(offset, shape, stride, held.nbytes() // dtype.itemsize)
        tensor = torch.empty(0, dtype=dtype).set_(held, offset, shape, stride)
        return tensor.neg() if negative else tensor

    def _storage(self, index: int) -> torch.UntypedStorage:
        if index not in self._made:
            self._made[index] = self._new_storage(*self._storages[index])
        return self._made[index]

    def _new_storage(self, offset: int, size: int, swapped: str | None) -> torch.UntypedStorage:
        if not 0 <= offset <= offset + size <= len(self._mapping):
            raise ValueError("a storage outside of the file")
        if size == 0:
            return torch.UntypedStorage(0)
        content = torch.frombuffer(self._mapping, dtype=torch.uint8, count=size, offset=offset)
        if swapped is not None:
            storage = content.clone().untyped_storage()
            storage.byteswap(_element_type(swapped))
            return storage
        aligned = content.data_ptr() % _ALIGNMENT == 0
        return (content if aligned else content.clone()).untyped_storage()


def _element_type(name: str) -> torch.dtype:
    if name not in SIZES:
        raise ValueError(f"the element type {name}")
    return getattr(torch, name)


def _sparse() -> torch.Tensor:
    return torch.zeros(0).to_sparse()


def _quantized() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.qint8)


def _meta() -> torch.Tensor:
    return torch.empty(0, device="meta")


_VALUELESS: dict[int, Callable[[], torch.Tensor]] = {
    META: _meta,
    SPARSE: _sparse,
    QUANTIZED: _quantized,
    NESTED: _sparse,
    OTHER: _meta,
}
"""A tensor of the same kind, which is refused by that name wherever it would be used."""
