"""The records of a ``.pt2`` file: what in them is dangerous, and where each tensor lies.

torch fills an empty record with zeros, and lays tensors over a record by what the file says of
them; here both must agree.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, cast

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.tensor_files.damage import damaged
from cnn_export.untrusted.tensor_files.description import describe
from cnn_export.untrusted.tensor_files.element_types import EXPORTED, SIZES
from cnn_export.untrusted.tensor_files.pickles.pickled import NotPlain, UnsafeName
from cnn_export.untrusted.tensor_files.programs.exported_dangers import (
    dangers_of_model,
    dangers_of_payloads,
)
from cnn_export.untrusted.tensor_files.stored import STRIDED, Storage, StorageView, Tensor
from cnn_export.untrusted.tensor_files.torch_zip import read_torch_zip
from cnn_export.untrusted.tensor_files.zip_records import Records

MARK = "archive_format"
"""The record that tells an exported program from other zips."""

COMPILED, MODELS = "data/aotinductor/", "models/"
GROUPS = {
    "weights": ("data/weights/", "_weights_config.json", "weight_"),
    "constants": ("data/constants/", "_constants_config.json", "tensor_"),
}
"""By group of tensors: its folder, the end of its table's name, the start of a plain record's."""


def dangers(records: Records) -> list[str]:
    """Return every part of the file that could run code, or never end, while it is loaded.

    Raises:
        CheckpointError: tables or graphs that are no JSON of the known form.
    """
    try:
        return [danger for name in records.places for danger in _record_dangers(records, name)]
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise damaged(f"a table that cannot be read: {error}"[:200]) from None


def tensors(records: Records, *, plain_only: bool = False) -> dict[str, dict[str, Any]]:
    """Return the tensors of the file by group (``weights``, ``constants``) and name.

    ``plain_only`` leaves out those that only code of the file can read.

    Raises:
        CheckpointError: a record is missing or empty, or not as long as its tensor.
    """
    try:
        return {
            group: _group(records, *where, plain_only=plain_only) for group, where in GROUPS.items()
        }
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise damaged(f"a table that cannot be read: {error}"[:200]) from None


def _record_dangers(records: Records, name: str) -> Iterator[str]:
    for folder, ending, plain_prefix in GROUPS.values():
        if name.startswith(folder) and name.endswith(ending):
            table = json.loads(records.read(name))
            yield from dangers_of_payloads(table.get("config", {}), plain_prefix)
            return
    if name.startswith(COMPILED):
        yield f"compiled code ({name})"
    elif name.endswith(".pt"):
        yield from _pickle_dangers(records, name)
    elif name.startswith(MODELS):
        yield from dangers_of_model(json.loads(records.read(name)))


def _pickle_dangers(records: Records, name: str) -> Iterator[str]:
    if not records.places[name].size:
        return
    try:
        describe(_pickled(records, name), len(records.content))  # and within its bounds
    except (UnsafeName, NotPlain):
        yield f"the pickled object {name}"


def _pickled(records: Records, name: str) -> Any:
    return read_torch_zip(records.within(name, _require_pickle), only_tensors=True)


def _require_pickle(names: Collection[str]) -> None:
    if "data.pkl" not in names:
        raise NotPlain("a zip without a pickle")


def _group(
    records: Records, folder: str, ending: str, plain_prefix: str, *, plain_only: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    storages: dict[str, Storage] = {}
    for name in records.places:
        if name.startswith(folder) and name.endswith(ending):
            table: dict[str, Any] = json.loads(records.read(name))["config"]
            for tensor, payload in table.items():
                if plain_only and any(dangers_of_payloads({tensor: payload}, plain_prefix)):
                    continue
                found[tensor] = _laid(records, folder, tensor, payload, storages)
        elif name.startswith(folder) and name.endswith(".pt"):  # torch 2.8
            if plain_only and any(_pickle_dangers(records, name)):
                continue
            found.update(cast(dict[str, Any], _pickled(records, name)))
    return found


def _laid(
    records: Records,
    folder: str,
    name: str,
    payload: dict[str, Any],
    storages: dict[str, Storage],
) -> Tensor:
    record, meta = folder + payload["path_name"], payload["tensor_meta"]
    if record not in records.places:
        raise damaged(f"the record {record} of {name} is missing")
    place, dtype = records.places[record], EXPORTED[meta["dtype"]]
    storage = storages.setdefault(record, Storage(dtype, place.offset, place.size))
    if storage.dtype != dtype or place.size % SIZES[dtype]:
        raise damaged(f"the record {record} has {place.size} bytes, which are no {dtype}")
    view = StorageView(storage, 0, place.size, dtype)
    shape, stride = (tuple(n["as_int"] for n in meta[key]) for key in ("sizes", "strides"))
    try:
        return Tensor(STRIDED).place(view, meta["storage_offset"]["as_int"], shape, stride, dtype)
    except CheckpointError as error:
        raise damaged(f"the record {record} of {name}: {error}") from None
