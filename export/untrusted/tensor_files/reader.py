"""Open a checkpoint file of any format; the one function that the process with limits calls."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.tensor_files.description import describe
from cnn_export.untrusted.tensor_files.pickles.pickled import NotPlain, UnsafeName
from cnn_export.untrusted.tensor_files.programs.exported_program import MARK, dangers, tensors
from cnn_export.untrusted.tensor_files.safetensors_file import read_safetensors
from cnn_export.untrusted.tensor_files.torch_legacy import read_torch_legacy
from cnn_export.untrusted.tensor_files.torch_zip import read_torch_zip
from cnn_export.untrusted.tensor_files.zip_records import Records, read_records

ZIP, LEGACY, SAFETENSORS = "zip", "legacy", "safetensors"


def read(content: Any, *, path: str, kind: str, allow_pickle: bool = False) -> dict[str, Any]:
    """Return the description of a checkpoint, see :func:`description.describe`.

    Instead of it, ``{"unsafe": NAME}`` where the file can only be read by running what it names;
    with ``allow_pickle``, all else of the file has then been checked. Of
    an exported program, ``"exported"`` lists what in it could run code while it is loaded; where
    that is nothing, its tensors by group and name are described. Beside it, ``"checked"`` is false
    where a format with checksums has none in this file.

    Raises:
        CheckpointError: damaged, no checkpoint, or more than fits; names ``path``.
    """
    try:
        try:
            return _read(content, kind, allow_pickle=allow_pickle)
        except UnsafeName as error:
            checked = not allow_pickle or _check_foreign(content, kind)
            return {"unsafe": str(error), "checked": checked}
    except NotPlain as error:
        raise CheckpointError(
            f"{path} is not a plain checkpoint ({error}); save the state_dict with torch.save"
        ) from None
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from None


def _read(content: Any, kind: str, *, allow_pickle: bool) -> dict[str, Any]:
    if kind == SAFETENSORS:
        return describe(read_safetensors(content), len(content))
    if kind == LEGACY:
        return describe(read_torch_legacy(content), len(content))
    records = read_records(content, _require_weights)
    if MARK in records.places:
        return _exported(records, len(content), allow_pickle=allow_pickle)
    described = describe(read_torch_zip(records), len(content))
    return {**described, "checked": records.checked}


def _check_foreign(content: Any, kind: str) -> bool:
    """Check what can be without running code; return whether there are checksums, or never are."""
    if kind == LEGACY:
        read_torch_legacy(content, foreign=True)
        return True
    records = read_records(content, _require_weights)
    read_torch_zip(records, foreign=True)
    return records.checked


def _exported(records: Records, file_bytes: int, *, allow_pickle: bool) -> dict[str, Any]:
    found = dangers(records)
    described: dict[str, Any] = {}
    if allow_pickle or not found:
        described = describe(tensors(records, plain_only=bool(found)), file_bytes)
    return {"exported": found, "checked": records.checked, **described}


def _require_weights(names: Collection[str]) -> None:
    if "serialized_exported_program.json" in names:
        raise CheckpointError(
            "is an exported program of torch 2.7 or older; export it again with torch 2.8+"
        )
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise CheckpointError(
            "is a TorchScript archive, which holds code instead of a checkpoint;"
            " save the original model's state_dict, or a .pt2 with torch.export.save"
        )
    if "data.pkl" not in names and MARK not in names:
        raise CheckpointError("is a zip without a torch checkpoint; extract it first")
