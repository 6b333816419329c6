"""A checkpoint as ``torch.save`` writes it: a zip of one pickle and a record for each storage."""

from __future__ import annotations

import io
import sys
from typing import Any

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.tensor_files.damage import damaged
from cnn_export.untrusted.tensor_files.element_types import SIZES, STORAGES
from cnn_export.untrusted.tensor_files.pickles.inert import Named
from cnn_export.untrusted.tensor_files.pickles.pickled import NotPlain, unpickle
from cnn_export.untrusted.tensor_files.stored import Storage, StorageView
from cnn_export.untrusted.tensor_files.zip_records import Records

_BYTE_ORDERS = (b"little", b"big")


def read_torch_zip(records: Records, *, only_tensors: bool = False, foreign: bool = False) -> Any:
    """Return the saved object; with ``only_tensors``, nothing else may be in it.

    ``foreign`` as of :func:`unpickle`.

    Raises:
        CheckpointError: no whole pickle, or a storage is missing, or shorter or longer than its
            tensors say.
        UnsafeName: says which name could run code.
    """
    storages = _Storages(records, swapped=_swapped(records))
    pickle = io.BytesIO(records.read("data.pkl"))
    try:
        return unpickle(pickle, storages.find, only_tensors, foreign=foreign)
    except NotPlain as error:
        raise damaged(str(error)) from None


def _swapped(records: Records) -> bool:
    order = records.read("byteorder") if "byteorder" in records.places else b"little"
    if order not in _BYTE_ORDERS:
        raise damaged("an unknown byte order")
    return order.decode() != sys.byteorder


class _Storages:
    """The storages that the pickle has asked for, by the name of their record."""

    def __init__(self, records: Records, *, swapped: bool) -> None:
        self._records = records
        self._swapped = swapped
        self._found: dict[str, Storage] = {}

    def find(self, pid: Any) -> StorageView:
        """Return the storage of ``("storage", class, key, location, number of elements)``."""
        dtype, key, count = described_storage(pid, 5)
        storage = self._found.get(key)
        if storage is None:
            storage = self._found[key] = self._storage(dtype, key, count)
        if storage.dtype != dtype or storage.size != count * SIZES[dtype]:
            raise CheckpointError(f"the storage {key} is described in two ways")
        return StorageView(storage, 0, storage.size, dtype)

    def _storage(self, dtype: str, key: str, count: int) -> Storage:
        place = self._records.places.get(f"data/{key}")
        size = count * SIZES[dtype]
        if place is None and size:
            raise CheckpointError(f"the storage {key} is not in the file")
        # A storage that is no multiple of its elements has some bytes over.
        if place is not None and not size <= place.size < size + SIZES[dtype]:
            raise CheckpointError(
                f"the storage {key} has {place.size} bytes in the file, and should have {size}"
            )
        offset = 0 if place is None else place.offset
        return Storage(dtype, offset, size, swapped=self._swapped and SIZES[dtype] > 1)


def described_storage(pid: Any, length: int) -> tuple[str, str, int]:
    """Return element type, key and number of elements of a storage's persistent id.

    Raises:
        CheckpointError: it describes no storage.
    """
    if not isinstance(pid, tuple) or len(pid) != length or pid[0] not in ("storage", b"storage"):
        raise CheckpointError("a persistent object that is no storage")
    kind, key, device, count = pid[1:5]
    dtype = STORAGES.get(kind.name) if isinstance(kind, Named) else None
    if dtype is None or not isinstance(key, str) or type(count) is not int:
        raise CheckpointError("a storage that is not described as torch does")
    if not isinstance(device, str):  # Which device it names does not matter: all is read here.
        raise CheckpointError("a storage that is not described as torch does")
    if not 0 <= count < 2**60:
        raise CheckpointError(f"a storage of {count} elements")
    return dtype, key, count
