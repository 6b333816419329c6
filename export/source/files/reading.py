"""Bytes → Python object, weights-only unless the user allows more."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from cnn_export.errors import CheckpointError, one_line
from cnn_export.source.files.described import built
from cnn_export.source.networks.imports import current_folder_importable
from cnn_export.untrusted.bounded_process import Limits, run_reader
from cnn_export.untrusted.snapshot import Snapshot
from cnn_export.untrusted.tensor_files.reader import ZIP

_READER = "cnn_export.untrusted.tensor_files.reader:read"
_BASE_BYTES, _PER_BYTE = 256 * 2**20, 4
_BASE_S, _BYTES_PER_S = 10, 50_000_000
"""What reading may take: these, and so much by the size of the file."""
_PICKLE_DANGER = (
    "--allow-pickle loads it all the same and runs whatever code the file holds, with your rights:"
    " only for files whose author you trust"
)
_UNCHECKED = "the file was saved without checksums: damage to its weights cannot be told"


def describe(snapshot: Snapshot, kind: str, *, allow_pickle: bool = False) -> dict[str, Any]:
    """Return what :func:`reader.read` finds in the file, in a process with limits.

    Raises:
        CheckpointError: damaged, no checkpoint, or it takes more than the limits to read.
    """
    limits = Limits(
        memory_bytes=_BASE_BYTES + _PER_BYTE * snapshot.size,
        cpu_s=_BASE_S + snapshot.size // _BYTES_PER_S,
    )
    arguments = {"path": str(snapshot.path), "kind": kind, "allow_pickle": allow_pickle}
    descriptors = (snapshot.descriptor,)
    return run_reader(
        _READER, arguments, path=snapshot.path, limits=limits, descriptors=descriptors
    )


def read(
    description: dict[str, Any], snapshot: Snapshot, kind: str, *, allow_pickle: bool
) -> tuple[Any, tuple[str, ...]]:
    """Return the object saved in a torch or safetensors file, and notes for the user.

    Tensors are on the CPU; those of a zip file share the snapshot's memory.

    Raises:
        CheckpointError: holds objects that would run code, or, where they may, cannot be loaded.
    """
    if "unsafe" not in description:
        return built(description, snapshot), notes_on(description)
    if not allow_pickle:
        raise CheckpointError(
            f"{snapshot.path} holds the Python object {description['unsafe']}, and loading that"
            f" could run code; save the state_dict instead. {_PICKLE_DANGER}"
        )
    return _unpickle(snapshot, kind), (
        "unpickled because of --allow-pickle: code in the file ran while it was loaded",
        *notes_on(description),
    )


def notes_on(description: dict[str, Any]) -> tuple[str, ...]:
    """Return what the user should know of a file that was read."""
    return () if description.get("checked", True) else (_UNCHECKED,)


def _unpickle(snapshot: Snapshot, kind: str) -> Any:
    try:
        with current_folder_importable(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == ZIP:
                return torch.load(
                    snapshot.own_path, map_location="cpu", weights_only=False, mmap=True
                )
            with snapshot.opened() as file:
                return torch.load(file, map_location="cpu", weights_only=False)
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{snapshot.path} needs the Python module {error.name!r} to unpickle;"
            " run where that module can be imported, or save the state_dict instead"
        ) from error
    except (Exception, SystemExit, GeneratorExit) as error:  # it is the file's code that runs
        raise CheckpointError(
            f"{snapshot.path} is damaged or cut short ({one_line(error)}); fetch or save it again"
        ) from error
