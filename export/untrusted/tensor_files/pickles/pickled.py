"""The pickle of a checkpoint, with names that stand for inert objects only."""

from __future__ import annotations

import _compat_pickle
import pickle
from collections.abc import Callable, Mapping
from typing import IO, Any, cast

from cnn_export.errors import CheckpointError, one_line
from cnn_export.untrusted.tensor_files.damage import damaged
from cnn_export.untrusted.tensor_files.pickles.inert import Foreign
from cnn_export.untrusted.tensor_files.pickles.names import KNOWN, TENSORS_ONLY

FindStorage = Callable[[Any], Any]

_RENAMED = {"torch.tensor": "torch._tensor"}
"""Modules that torch has renamed since, as its own reader knows them."""


class UnsafeName(Exception):
    """The pickle names an object that is not known to be harmless."""


class NotPlain(Exception):
    """The bytes are a pickle, but none that could hold weights."""


class _Unpickler(pickle.Unpickler):
    def __init__(
        self,
        file: Any,
        find_storage: FindStorage | None,
        known: Mapping[str, Any],
        *,
        foreign: bool,
    ) -> None:
        super().__init__(cast(IO[bytes], file), encoding="utf-8", errors="surrogateescape")
        self._find_storage = find_storage
        self._known = known
        self._foreign = foreign

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Return what the name stands for: never what it names."""
        path = _path(module_name, global_name)
        if self._foreign and self._find_storage is not None:
            return self._known.get(path, Foreign)
        if self._find_storage is None or path not in self._known:
            raise UnsafeName(path.removeprefix("builtins."))
        return self._known[path]

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage that the id describes."""
        if self._find_storage is None:
            raise NotPlain("a storage where none is expected")
        if self._foreign and isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
            return pid[1]  # a class of the legacy format, with its source
        return self._find_storage(pid)


def _path(module: str, name: str) -> str:
    """Return a name as today's Python and torch spell it; protocol 2 writes Python 2's."""
    module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    return f"{_RENAMED.get(module, module)}.{name}"


def unpickle(
    file: Any,
    find_storage: FindStorage | None = None,
    only_tensors: bool = False,
    *,
    foreign: bool = False,
) -> Any:
    """Return the next object in a file or ``mmap``, which is left behind its last byte.

    ``find_storage`` returns the storage of a persistent id; without it, neither storages nor
    names are allowed. ``only_tensors`` leaves the names without which there is no tensor: what
    they name does in torch what it does here. With ``foreign``, names that are not known stand for
    objects of which nothing is kept, and what is known of the others is checked all the same.

    Raises:
        UnsafeName: says which.
        NotPlain: cut short, damaged, or put together as no checkpoint is.
        CheckpointError: tensors or storages that do not fit the file.
    """
    try:
        known = TENSORS_ONLY if only_tensors else KNOWN
        return _Unpickler(file, find_storage, known, foreign=foreign).load()
    except (UnsafeName, NotPlain, MemoryError):
        raise
    except CheckpointError as error:  # what the pickle says of tensors does not fit the file
        raise damaged(str(error)) from None
    # A pickle can make Python stumble over anything; nothing of its own has run.
    except Exception as error:
        raise NotPlain(f"{type(error).__name__}: {one_line(error, 200)}") from None
