"""A safetensors file: a header of JSON, then the tensors' bytes without a gap.

The format has no checksums; that every byte belongs to exactly one tensor is its rule.
"""

from __future__ import annotations

import json
import math
from typing import Any, cast

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.tensor_files.damage import damaged
from cnn_export.untrusted.tensor_files.element_types import SAFETENSORS, SIZES
from cnn_export.untrusted.tensor_files.stored import STRIDED, Storage, StorageView, Tensor

_LENGTH_BYTES = 8
HEADER_MAX = 100_000_000
"""Bytes; the safetensors library refuses a longer header."""


def read_safetensors(content: Any) -> dict[str, Any]:
    """Return the tensors and, under ``__metadata__``, the header's text pairs.

    Values of the pairs that are JSON are decoded.

    Raises:
        CheckpointError: no header, or tensors that overlap, leave a gap or do not fill the file.
    """
    header, start = _header(content)
    pairs = header.pop("__metadata__", {})
    if not isinstance(pairs, dict):
        raise damaged("metadata that is no mapping")
    spans = {name: _span(name, entry) for name, entry in header.items()}
    _require_exact(spans, len(content) - start)
    tensors = {name: _tensor(name, header[name], start, span) for name, span in spans.items()}
    decoded = {key: _decoded(text) for key, text in cast(dict[str, Any], pairs).items()}
    return {**tensors, "__metadata__": decoded}


def _header(content: Any) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + length
    if length > HEADER_MAX or start > len(content):
        raise damaged("a header longer than the file")
    try:
        text = content[_LENGTH_BYTES:start].decode("utf-8")
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise damaged(f"a header that is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise damaged("a header that is no mapping")
    return cast(dict[str, Any], header), start


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("one name twice")
    return made


def _span(name: str, entry: Any) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    match offsets:
        case [int(first), int(last)] if 0 <= first <= last:
            return first, last
        case _:
            raise damaged(f"the tensor {name} has no place")


def _require_exact(spans: dict[str, tuple[int, int]], held_bytes: int) -> None:
    expected = 0
    for (first, last), name in sorted((span, name) for name, span in spans.items()):
        if first != expected:
            raise damaged(f"the tensor {name} starts at byte {first}, not {expected}")
        expected = last
    if expected != held_bytes:
        raise damaged(f"{held_bytes} bytes of tensors, of which the header names {expected}")


def _tensor(name: str, entry: dict[str, Any], start: int, span: tuple[int, int]) -> Tensor:
    dtype = SAFETENSORS.get(str(entry.get("dtype")))
    if dtype is None:
        raise CheckpointError(f"holds the tensor {name} of an unknown type, {entry.get('dtype')}")
    shape: Any = entry.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise damaged(f"the tensor {name} has no shape")
    size = span[1] - span[0]
    if math.prod(shape) * SIZES[dtype] != size:
        raise damaged(f"the tensor {name} of shape {shape} has {size} bytes")
    view = StorageView(Storage(dtype, start + span[0], size), 0, size, dtype)
    return Tensor(STRIDED).place(view, 0, tuple(shape), _contiguous(shape), dtype)


def _contiguous(shape: list[int]) -> tuple[int, ...]:
    return tuple(math.prod(max(1, n) for n in shape[axis + 1 :]) for axis in range(len(shape)))


def _decoded(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):  # the latter where brackets nest too deeply
        return text
