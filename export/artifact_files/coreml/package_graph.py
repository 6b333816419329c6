"""Read a ``.mlpackage`` folder: the ML program's protobuf and the sizes of its weight file.

Importing coremltools loads torch; its protobuf classes alone do not, so only they are loaded.
"""

from __future__ import annotations

import functools
import importlib
import json
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from cnn_export.artifact_files.coreml.operators import ALWAYS_CONSTANT, computing_inputs, op_of
from cnn_export.artifact_files.damage import refusing_damage, require_bytes
from cnn_export.artifact_files.file_content import PROTOBUF_BYTES_MAX, file_inside, require_size
from cnn_export.artifact_files.op_graph import Op, OpGraph, Tensor
from cnn_export.artifact_files.package_folder import package_folder
from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.command_line.packages import require
from cnn_export.errors import InputRefused

_PROTOS = "cnn_export_mil_protos"
_WEIGHTS_PREFIX = "@model_path/"
_BLOB_SENTINEL = 0xDEADBEEF
_BLOB_HEADER = "<IIQQ"
"""Sentinel, dtype, size in bytes and offset: how each blob of the weight file begins."""
_STRING = 2
_MANIFEST_BYTES_MAX = 2**20
_DTYPES = {
    1: "bool",
    10: "float16",
    11: "float32",
    12: "float64",
    13: "bfloat16",
    21: "int8",
    22: "int16",
    23: "int32",
    24: "int64",
    25: "int4",
    31: "uint8",
    32: "uint16",
    33: "uint32",
    34: "uint64",
    35: "uint4",
    36: "int2",
}
"""``DataType`` of MIL.proto; narrow unsigned integers take what signed ones take."""


def read_graph(path: Path) -> OpGraph:
    """Return the operations of ``main``; sizes known at run time only (the batch) count as 1.

    Raises:
        InputRefused: it is no ML program package, damaged, or its weight file is missing or short.
        TargetUnavailable: coremltools is not installed; holds the install line.
    """
    if not path.is_dir():
        raise InputRefused("a .mlpackage is a folder; this is a file")
    model, file = _specification(path)
    with refusing_damage("Core ML program"):
        if model.WhichOneof("Type") != "mlProgram":
            raise InputRefused("it holds no ML program (an older Core ML format); convert it anew")
        function = model.mlProgram.functions["main"]
        block = function.block_specializations[function.opset]
        return _Reader(function, block, file.parent).graph()


def read_metadata(path: Path) -> dict[str, str]:
    """Return the pairs that the package's author defined.

    Raises:
        InputRefused: it is no Core ML package, or damaged.
        TargetUnavailable: coremltools is not installed; holds the install line.
    """
    if not path.is_dir():
        raise InputRefused("a .mlpackage is a folder; this is a file")
    model, _ = _specification(path)
    return dict(model.description.metadata.userDefined)


def read_split(path: Path) -> PartitionReport:
    """Return the operations that compute; Core ML chooses its unit when it runs them.

    Raises:
        InputRefused: it is no ML program package, or damaged.
    """
    model, _ = _specification(path)
    with refusing_damage("Core ML program"):
        function = model.mlProgram.functions["main"]
        operations = function.block_specializations[function.opset].operations
        computing = sum(operation.type != "const" for operation in operations)
    return PartitionReport("Core ML", partitions=1, delegated_ops=computing)


def load_vendor() -> None:
    """Import Core ML's protobuf classes."""
    _protos()
    importlib.import_module("google.protobuf.message")


@functools.cache
def _protos() -> ModuleType:
    """Return the module of class ``Model``.

    The classes import one another relative to their package, so the package needs a name; it
    gets one of its own, and coremltools may still be imported later.
    """
    require("coreml", ["coremltools"])
    package = ModuleType(_PROTOS)
    package.__path__ = [str(package_folder("coremltools") / "proto")]
    sys.modules[_PROTOS] = package
    return importlib.import_module(f"{_PROTOS}.Model_pb2")


def _specification(path: Path) -> tuple[Any, Path]:
    """Return the ``Model`` protobuf and the file that holds it."""
    protos: Any = _protos()
    from google.protobuf.message import DecodeError

    manifest = path / "Manifest.json"
    if not manifest.is_file():
        raise InputRefused("it is no Core ML package: Manifest.json is missing")
    with refusing_damage("Core ML package"):
        require_size(manifest, _MANIFEST_BYTES_MAX)
        entries = json.loads(manifest.read_text(encoding="utf-8"))
        root = entries["itemInfoEntries"][entries["rootModelIdentifier"]]["path"]
        file = file_inside(path / "Data", root)
        require_size(file, PROTOBUF_BYTES_MAX)
        model = protos.Model()
        try:
            model.ParseFromString(file.read_bytes())
        except DecodeError as error:
            raise ValueError(f"{file.name!r} is truncated") from error
    return model, file


class _Reader:
    """Walks the main block in order."""

    def __init__(self, function: Any, block: Any, folder: Path) -> None:
        self._block = block
        self._folder = folder
        self._inputs = tuple(named.name for named in function.inputs)
        self._tensors = {
            named.name: _tensor(named.name, named.type.tensorType) for named in function.inputs
        }

    def graph(self) -> OpGraph:
        ops = tuple(self._ops())
        return OpGraph("coreml", self._tensors, ops, self._inputs, tuple(self._block.outputs))

    def _ops(self) -> Iterable[Op]:
        for operation in self._block.operations:
            kind = operation.type
            stored = kind in ALWAYS_CONSTANT or kind.startswith("constexpr_")
            for named in operation.outputs:
                if named.type.tensorType.dataType != _STRING:
                    self._tensors[named.name] = _tensor(named.name, named.type.tensorType, stored)
            for value in operation.attributes.values():
                self._check_blob(operation.outputs[0].name if operation.outputs else kind, value)
            if kind not in ALWAYS_CONSTANT:
                yield self._op(operation)

    def _op(self, operation: Any) -> Op:
        inputs = [
            key
            for parameter in computing_inputs(operation.type, list(operation.inputs))
            for key in self._bindings(operation, parameter)
        ]
        outputs = [named.name for named in operation.outputs]
        return op_of(operation, tuple(inputs), tuple(outputs), self._tensors)

    def _bindings(self, operation: Any, parameter: str) -> Iterable[str]:
        """Yield the tensors bound to a parameter; a value given in place gets a key of its own."""
        for index, binding in enumerate(operation.inputs[parameter].arguments):
            if binding.WhichOneof("binding") == "name":
                yield binding.name
                continue
            key = f"{operation.outputs[0].name}/{parameter}/{index}"
            self._check_blob(key, binding.value)
            self._tensors[key] = _tensor(key, binding.value.type.tensorType, constant=True)
            yield key

    def _check_blob(self, name: str, value: Any) -> None:
        """Refuse a constant whose data the weight file does not hold."""
        if value.WhichOneof("value") != "blobFileValue":
            return
        blob = value.blobFileValue
        file = file_inside(self._folder, blob.fileName.removeprefix(_WEIGHTS_PREFIX))
        size = file.stat().st_size
        with file.open("rb") as stream:
            stream.seek(blob.offset)
            header = stream.read(struct.calcsize(_BLOB_HEADER))
        sentinel, _, held, start = struct.unpack(_BLOB_HEADER, header)
        if sentinel != _BLOB_SENTINEL:
            raise ValueError(f"no blob at byte {blob.offset} of {file.name!r}")
        needed = _tensor(name, value.type.tensorType).nbytes
        require_bytes(name, min(held, max(size - start, 0)), needed)


def _tensor(name: str, tensor_type: Any, constant: bool = False) -> Tensor:
    sizes = tuple(
        int(d.constant.size) if d.WhichOneof("dimension") == "constant" else 1
        for d in tensor_type.dimensions
    )
    dtype = _DTYPES.get(tensor_type.dataType, f"number {tensor_type.dataType}")
    return Tensor(name, sizes, dtype, constant)
