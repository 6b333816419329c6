"""A checkpoint as torch wrote it before 1.6: five pickles, then the storages one after another.

The format has no checksums. What it does say is held: every storage that a tensor uses is in the
list of keys, as long as it is described, and the file ends with the last of them.
"""

from __future__ import annotations

from typing import Any

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.tensor_files.damage import damaged
from cnn_export.untrusted.tensor_files.element_types import SIZES
from cnn_export.untrusted.tensor_files.pickles.pickled import NotPlain, UnsafeName, unpickle
from cnn_export.untrusted.tensor_files.stored import Storage, StorageView
from cnn_export.untrusted.tensor_files.torch_zip import described_storage

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_COUNT_BYTES = 8


def read_torch_legacy(content: Any, *, foreign: bool = False) -> Any:
    """Return the object saved in ``content``, an ``mmap``; ``foreign`` as of :func:`unpickle`.

    Raises:
        CheckpointError: cut short, bytes are left over, or storages missing.
        UnsafeName, NotPlain: see :func:`pickled.unpickle`; no file of torch's.
    """
    content.seek(0)
    _require_magic(content)
    storages = _Storages()
    try:
        if unpickle(content) != _VERSION:
            raise CheckpointError("is of a version of torch's file format that nobody has written")
        unpickle(content)  # the system that wrote it; torch does not look at it either
        saved = unpickle(content, storages.find, foreign=foreign)
        keys = unpickle(content)
    except NotPlain as error:
        raise damaged(str(error)) from None
    storages.place(content, keys)
    return saved


def _require_magic(content: Any) -> None:
    try:
        magic = unpickle(content)
    except UnsafeName:
        raise
    except NotPlain as error:
        raise NotPlain(f"no file of torch's: {error}") from None
    if magic != _MAGIC:
        raise NotPlain("a pickle that torch has not written")


class _Storages:
    def __init__(self) -> None:
        self._found: dict[str, Storage] = {}

    def find(self, pid: Any) -> StorageView:
        """Return the storage of ``("storage", class, key, location, elements, view)``."""
        dtype, key, count = described_storage(pid, 6)
        storage = self._found.setdefault(key, Storage(dtype, -1, count * SIZES[dtype]))
        if storage.dtype != dtype or storage.size != count * SIZES[dtype]:
            raise CheckpointError(f"the storage {key} is described in two ways")
        start, size = _viewed(pid[5], storage, SIZES[dtype])
        return StorageView(storage, start, size, dtype)

    def place(self, content: Any, keys: Any) -> None:
        """Find every storage in what follows the pickles, where the list of keys ends."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise damaged("no list of storages")
        missing = next((key for key in self._found if key not in set(keys)), None)
        if missing is not None:
            raise damaged(f"the storage {missing} is not in the file")
        if len(set(keys)) != len(keys):
            raise damaged("two storages of one name")
        for key in keys:
            self._place_one(content, key)
        if content.tell() != len(content):
            raise damaged(f"{len(content) - content.tell()} bytes follow the last storage")

    def _place_one(self, content: Any, key: str) -> None:
        if key not in self._found:
            raise damaged(f"a storage {key} that nothing uses")
        storage = self._found[key]
        count = int.from_bytes(content.read(_COUNT_BYTES), "little")
        if count * SIZES[storage.dtype] != storage.size:
            raise damaged(
                f"the storage {key} has {count} elements,"
                f" and should have {storage.size // SIZES[storage.dtype]}"
            )
        storage.offset = content.tell()
        if storage.offset + storage.size > len(content):
            raise damaged(f"the storage {key} is not whole")
        content.seek(storage.offset + storage.size)


def _viewed(view: Any, storage: Storage, element_bytes: int) -> tuple[int, int]:
    """Return start and bytes of the part that ``(key, offset, elements)`` selects, else of all."""
    if view is None:
        return 0, storage.size
    if not isinstance(view, tuple) or len(view) != 3:
        raise CheckpointError("a part of a storage that is not described as torch does")
    _, offset, count = view
    if not all(type(each) is int and each >= 0 for each in (offset, count)):
        raise CheckpointError("a part of a storage that is not described as torch does")
    if (offset + count) * element_bytes > storage.size:
        raise CheckpointError("a part of a storage that is not inside")
    return offset * element_bytes, count * element_bytes
