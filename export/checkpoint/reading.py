"""Bytes → Python object, weights-only unless the user allows more."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from pathlib import Path
from typing import Any, NoReturn

import safetensors
import torch

from cnn_export.checkpoint.formats import Format
from cnn_export.checkpoint.imports import current_folder_importable
from cnn_export.checkpoint.stand_ins import safe_globals
from cnn_export.errors import CheckpointError

_GLOBAL = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")
_PICKLE_DANGER = (
    "--allow-pickle loads it all the same and runs whatever code the file holds, with your rights:"
    " only for files whose author you trust"
)


def read(path: Path, kind: Format, *, allow_pickle: bool) -> tuple[Any, tuple[str, ...]]:
    """Return the object saved in a torch or safetensors file, and notes for the user.

    Tensors are on the CPU; those of a zip file are memory-mapped, copied only when written to.

    Raises:
        CheckpointError: damaged, or holds objects that would run code.
    """
    if kind is Format.SAFETENSORS:
        return read_safetensors(path), ()
    try:
        return _torch_load(path, kind, weights_only=True), ()
    except pickle.UnpicklingError as error:
        if not allow_pickle:
            _refuse_pickle(path, str(error))
    except Exception as error:
        raise _damaged(path, error) from error
    return _unpickle(path, kind), (
        "unpickled because of --allow-pickle: code in the file ran while it was loaded",
    )


def read_safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors and, under ``__metadata__``, the header's text pairs.

    Values of the pairs that are JSON are decoded.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            # A copy is aligned, the file's own bytes are not: kernels then round as they do for
            # the same weights in a torch file.
            tensors: dict[str, Any] = {
                name: file.get_tensor(name).clone()
                for name in file.keys()  # noqa: SIM118  (a vendor object, not a dict)
            }
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error
    return {**tensors, "__metadata__": {key: _decoded(text) for key, text in metadata.items()}}


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # the latter where brackets nest too deeply
        return text


def _torch_load(path: Path, kind: Format, *, weights_only: bool) -> Any:
    with warnings.catch_warnings(), torch.serialization.safe_globals(safe_globals()):
        warnings.simplefilter("ignore")
        if kind is Format.TORCH_ZIP and path.suffix != ".safetensors":
            return torch.load(path, map_location="cpu", weights_only=weights_only, mmap=True)
        # torch.load decides by the suffix where it can see one; an open file shows none.
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=weights_only)


def _unpickle(path: Path, kind: Format) -> Any:
    try:
        with current_folder_importable():
            return _torch_load(path, kind, weights_only=False)
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{path} needs the Python module {error.name!r} to unpickle;"
            " run where that module can be imported, or save the state_dict instead"
        ) from error
    except Exception as error:
        raise _damaged(path, error) from error


def _refuse_pickle(path: Path, reason: str) -> NoReturn:
    found = _GLOBAL.search(reason)
    if found:
        raise CheckpointError(
            f"{path} holds the Python object {found[1]}, and loading that could run code; save the"
            f" state_dict instead. {_PICKLE_DANGER}"
        )
    detail = reason.strip().splitlines()
    last = next((line for line in detail if line.startswith(("Unsupported", "Can only"))), "")
    raise CheckpointError(
        f"{path} is not a plain checkpoint{f' ({last})' if last else ''}; save the state_dict with"
        f" torch.save and its default pickle protocol. {_PICKLE_DANGER}"
    )


def _damaged(path: Path, error: BaseException) -> CheckpointError:
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    return CheckpointError(f"{path} is damaged or cut short ({reason}); fetch or save it again")
