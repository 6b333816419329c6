"""What a checkpoint is made of, before there is torch: storages in the file, tensors over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.tensor_files.element_types import SIZES

STRIDED, META, SPARSE, QUANTIZED, NESTED, OTHER = range(6)
"""Kinds of tensors; only strided ones have values that a network can use."""

_MAX_RANK = 64
_MAX_SIZE = 2**62


class Fixed:
    """Its attributes are set here, and by no state that a pickle has for it.

    Without this, a pickle could move a tensor that has been checked to where it was not.
    """

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Raise CheckpointError."""
        refuse_state(state)


def refuse_state(_state: Any) -> None:
    """Stand in for ``__setstate__``.

    Raises:
        CheckpointError: always.
    """
    raise CheckpointError("a state for what has none")


class Storage(Fixed):
    """Bytes of the file: ``size`` from ``offset``; ``swapped`` where they are big-endian.

    A storage of a legacy file has no place yet when its tensors are described: ``offset`` is −1.
    """

    __slots__ = ("dtype", "index", "offset", "size", "swapped")

    def __init__(self, dtype: str, offset: int, size: int, *, swapped: bool = False) -> None:
        self.dtype = dtype
        self.offset = offset
        self.size = size
        self.swapped = swapped
        self.index: int | None = None


class StorageView(NamedTuple):
    """``size`` bytes of a storage from ``start``; ``dtype`` is what the file takes them for."""

    storage: Storage
    start: int
    size: int
    dtype: str


class Tensor(Fixed):
    """A tensor over a storage: offset and strides in elements, or one without usable values."""

    __slots__ = ("dtype", "index", "kind", "negative", "offset", "shape", "storage", "stride")

    def __init__(self, kind: int = OTHER) -> None:
        self.kind = kind
        self.dtype = "float32"
        self.storage: Storage | None = None
        self.offset = 0
        self.shape: tuple[int, ...] = ()
        self.stride: tuple[int, ...] = ()
        self.negative = False
        self.index: int | None = None

    def place(self, view: Any, offset: Any, shape: Any, stride: Any, dtype: str) -> Tensor:
        """Lay the tensor over a storage.

        Raises:
            CheckpointError: it does not lie within; says which sizes are meant.
        """
        if not isinstance(view, StorageView):
            raise CheckpointError("a tensor without a storage")
        size = SIZES[dtype]
        if view.start % size:
            raise CheckpointError(f"a tensor at byte {view.start}, no multiple of {size}")
        require_inside(offset, shape, stride, view.size // size)
        self.storage, self.dtype = view.storage, dtype
        self.offset = offset + view.start // size
        self.shape, self.stride = tuple(shape), tuple(stride)
        return self

    @property
    def expanded_bytes(self) -> int:
        """Bytes of the tensor's elements if each were stored by itself."""
        count = SIZES[self.dtype]
        for each in self.shape:
            count *= each
        return count


def require_inside(offset: Any, shape: Any, stride: Any, elements: int) -> None:
    """Check that a tensor of these sizes, in elements, lies within ``elements`` of them.

    Raises:
        CheckpointError: it does not, or these are no sizes.
    """
    sizes = (*shape, *stride) if _is_sizes(shape) and _is_sizes(stride) else None
    if sizes is None or len(shape) != len(stride) or not _is_size(offset):
        raise CheckpointError("a tensor of no possible shape")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if 0 in shape:
        last = offset - 1
    if last >= elements:
        raise CheckpointError(
            f"a tensor of shape {list(shape)} that needs {last + 1} elements of {elements}"
        )


def _is_sizes(value: Any) -> bool:
    if not isinstance(value, tuple | list):
        return False
    values: Sequence[Any] = value
    return len(values) <= _MAX_RANK and all(map(_is_size, values))


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MAX_SIZE
