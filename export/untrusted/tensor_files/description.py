"""A saved object as JSON: a tree of bounded size, and the places of tensors and storages.

Values of JSON stand for themselves. Everything else is a list of a letter and its content::

    ["l", [item, …]]   list          ["d", [[key, value], …]]   mapping
    ["t", [item, …]]   tuple         ["n", [[key, value], …]]   attributes of a Namespace
    ["x", index]       tensor        ["o", name]                an object of which nothing is kept
"""

from __future__ import annotations

from typing import Any

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.tensor_files.pickles.inert import Attributes, Named
from cnn_export.untrusted.tensor_files.stored import STRIDED, Storage, Tensor

_MAX_DEPTH = 100
_MAX_NODES = 500_000
_MAX_TEXT = 64 * 2**20
_MAX_INT_BITS = 4096
_EXPANSION = 8
_SMALL_BYTES = 16 * 2**20
"""Tied weights share bytes some times over, and a small value may fill a large buffer."""


def describe(saved: Any, file_bytes: int) -> dict[str, Any]:
    """Return ``tree``, ``tensors`` and ``storages`` of a saved object.

    A tensor is (kind, type, storage, offset, shape, stride, negative), in elements; a storage is
    (offset in the file, bytes, type of the elements to swap or null). A mapping within itself is an
    object of which nothing is kept.

    Raises:
        CheckpointError: more than anybody saves: values, depth, or tensors many times the size of
            the file, which is ``file_bytes``.
    """
    describer = _Describer(file_bytes)
    return {
        "tree": describer.node(saved),
        "tensors": describer.tensors,
        "storages": describer.storages,
    }


class _Describer:
    def __init__(self, file_bytes: int) -> None:
        self.tensors: list[Any] = []
        self.storages: list[Any] = []
        self._nodes = 0
        self._text = 0
        self._open: set[int] = set()
        self._path: list[str] = []
        self._spare_bytes = _EXPANSION * file_bytes + _SMALL_BYTES

    def node(self, value: Any) -> Any:
        """Return the node of one value."""
        self._count(value)
        if value is None or isinstance(value, bool | float | str):
            return value
        if isinstance(value, int):
            return value if value.bit_length() <= _MAX_INT_BITS else ["o", "int"]
        if isinstance(value, Tensor):
            return ["x", self._tensor(value)]
        if isinstance(value, Attributes):
            return self._inside(value, "n", value.__dict__)
        if isinstance(value, dict):
            return self._inside(value, "d", value)
        if isinstance(value, list | tuple):
            return self._inside(value, "l" if isinstance(value, list) else "t", value)
        return ["o", value.name if isinstance(value, Named) else type(value).__name__]

    def _count(self, value: Any) -> None:
        self._nodes += 1
        self._text += len(value) if isinstance(value, str) else 0
        if self._nodes > _MAX_NODES:
            raise CheckpointError(f"holds more than {_MAX_NODES:,} values beside the tensors")
        if self._text > _MAX_TEXT:
            raise CheckpointError(f"holds more than {_MAX_TEXT // 2**20} MB of text")

    def _inside(self, container: Any, letter: str, items: Any) -> list[Any]:
        if id(container) in self._open:
            return ["o", "itself"]
        if len(self._open) >= _MAX_DEPTH:
            raise CheckpointError(f"holds values nested more than {_MAX_DEPTH} deep")
        self._open.add(id(container))
        if isinstance(items, dict):
            described = [self._pair(key, value) for key, value in items.items()]
        else:
            described = [self.node(item) for item in items]
        self._open.remove(id(container))
        return [letter, described]

    def _pair(self, key: Any, value: Any) -> list[Any]:
        self._path.append(key if isinstance(key, str) else type(key).__name__)
        pair = [self.node(key), self.node(value)]
        self._path.pop()
        return pair

    def _tensor(self, tensor: Tensor) -> int:
        if tensor.index is None:
            if tensor.kind == STRIDED:
                self._require_modest(tensor)
            storage = None if tensor.storage is None else self._storage(tensor.storage)
            tensor.index = len(self.tensors)
            shape, stride = list(tensor.shape), list(tensor.stride)
            where = (tensor.kind, tensor.dtype, storage, tensor.offset)
            self.tensors.append([*where, shape, stride, tensor.negative])
        return tensor.index

    def _require_modest(self, tensor: Tensor) -> None:
        self._spare_bytes -= tensor.expanded_bytes
        if self._spare_bytes < 0:
            raise CheckpointError(
                f"holds tensors that repeat their bytes to many times the size of the file, up to"
                f" {'.'.join(self._path) or 'one'} of shape {list(tensor.shape)}"
            )

    def _storage(self, storage: Storage) -> int:
        if storage.index is None:
            storage.index = len(self.storages)
            swapped = storage.swapped
            self.storages.append([storage.offset, storage.size, storage.dtype if swapped else None])
        return storage.index
