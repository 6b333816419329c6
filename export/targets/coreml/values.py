"""Decode a protobuf ``Value``: immediate in the program, or a blob in ``weight.bin``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cnn_export.artifact_files.coreml.package import Package
from cnn_export.artifact_files.coreml.reader import DTYPES, STRING
from cnn_export.errors import InputRefused
from cnn_export.targets.coreml.program import Constant, ValueType
from cnn_export.targets.coreml.vendor import coremltools

_DTYPES = {
    number: getattr(torch, name)
    for number, name in DTYPES.items()
    if name not in ("float64", "bfloat16", "uint64", "int4", "uint4", "int2")
}
"""``DataType`` of MIL.proto to torch, as far as it is evaluated."""

_BLOB_READERS = {
    torch.float16: "read_fp16_data",
    torch.float32: "read_float_data",
    torch.int8: "read_int8_data",
    torch.int16: "read_int16_data",
    torch.int32: "read_int32_data",
    torch.uint8: "read_uint8_data",
    torch.uint16: "read_uint16_data",
    torch.uint32: "read_uint32_data",
}
_BYTES_DTYPES = {
    torch.float16: np.float16,
    torch.int8: np.int8,
    torch.int16: np.int16,
    torch.uint8: np.uint8,
    torch.uint16: np.uint16,
    torch.uint32: np.uint32,
}


class Blobs:
    """The weight files of one package, each opened with the vendor's reader on first use."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._readers: dict[str, Any] = {}

    def read(self, place: Any, dtype: torch.dtype) -> torch.Tensor:
        """Return the flat tensor at ``place``, a ``BlobFileValue``.

        Raises:
            InputRefused: the file is missing, truncated, or holds another dtype there.
        """
        try:
            values = getattr(self._reader(place.fileName), _BLOB_READERS[dtype])(place.offset)
        except (KeyError, RuntimeError, ValueError, OverflowError) as error:
            raise InputRefused(
                f"{place.fileName} is damaged at byte {place.offset} ({error}); export again"
            ) from error
        array = np.array(values)
        # The reader hands half floats over as their bit patterns.
        return torch.from_numpy(array.view(np.float16) if dtype == torch.float16 else array)

    def _reader(self, name: str) -> Any:
        if name not in self._readers:
            storage: Any = coremltools().libmilstoragepython
            self._readers[name] = storage._BlobStorageReader(str(self._package.weight_file(name)))
        return self._readers[name]


def value_type(named: Any) -> ValueType:
    """Return name, dtype and shape of a ``NamedValueType``.

    Raises:
        InputRefused: it is no tensor (a state, list or dictionary), or of an unknown dtype.
    """
    if named.type.WhichOneof("type") != "tensorType":
        raise InputRefused(f"MIL value {named.name} is no tensor; only tensors can be evaluated")
    tensor_type = named.type.tensorType
    return ValueType(named.name, _dtype(named.name, tensor_type.dataType), _shape(tensor_type))


def decode(name: str, value: Any, blobs: Blobs) -> Constant:
    """Return the tensor or string of a ``Value``; ``name`` is for messages.

    Raises:
        InputRefused: the value is of a kind, dtype or size that the program does not declare.
    """
    tensor_type = value.type.tensorType
    if tensor_type.dataType == STRING:
        return str(value.immediateValue.tensor.strings.values[0])
    dtype, shape = _dtype(name, tensor_type.dataType), _shape(tensor_type)
    if value.WhichOneof("value") == "blobFileValue":
        flat = blobs.read(value.blobFileValue, dtype)
    else:
        flat = _immediate(value.immediateValue.tensor, dtype)
    if flat.numel() != int(np.prod(shape)):
        raise InputRefused(f"constant {name} holds {flat.numel()} values, its shape is {shape}")
    return flat.reshape(shape)


def _immediate(tensor: Any, dtype: torch.dtype) -> torch.Tensor:
    field = tensor.WhichOneof("value")
    if field == "bytes":
        return torch.from_numpy(np.frombuffer(tensor.bytes.values, _BYTES_DTYPES[dtype]).copy())
    return torch.tensor(list(getattr(tensor, field).values) if field else [], dtype=dtype)


def _dtype(name: str, data_type: int) -> torch.dtype:
    if data_type not in _DTYPES:
        raise InputRefused(f"MIL value {name} has data type {data_type}, which is not evaluated")
    return _DTYPES[data_type]


def _shape(tensor_type: Any) -> tuple[int, ...]:
    return tuple(
        int(dimension.constant.size) if dimension.WhichOneof("dimension") == "constant" else -1
        for dimension in tensor_type.dimensions
    )
