"""Read a ``.mlpackage`` folder: the ML program's protobuf and the sizes of its weight file."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cnn_export.artifact_files.coreml.operators import ALWAYS_CONSTANT, computing_inputs, op_of
from cnn_export.artifact_files.coreml.package import Package, computing_operations, protos
from cnn_export.artifact_files.malformed import refusing_malformed, require_bytes
from cnn_export.artifact_files.op_graph import Op, OpGraph, Tensor
from cnn_export.artifact_files.partition_report import PartitionReport

STRING = 2
"""``DataType`` of texts, which are no tensors."""
_BLOB_SENTINEL = 0xDEADBEEF
_BLOB_HEADER = "<IIQQ"
"""Sentinel, dtype, size in bytes and offset: how each blob of the weight file begins."""
DTYPES = {
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


class CoreMLFile:
    """One package, parsed once.

    Raises:
        InputRefused: it is no Core ML package, or damaged.
        TargetUnavailable: coremltools is not installed; holds the install line.
    """

    def __init__(self, path: Path) -> None:
        self._package = Package(path)

    def graph(self) -> OpGraph:
        """Return the operations of ``main``; sizes known at run time only count as 1.

        Raises:
            InputRefused: no ML program, damaged, or its weight file is missing or short.
        """
        with refusing_malformed("Core ML program"):
            return _Reader(self._package).graph()

    def metadata(self) -> dict[str, str]:
        """Return the pairs that the package's author defined."""
        return dict(self._package.model.description.metadata.userDefined)

    def partitions(self) -> PartitionReport:
        """Return the operations that compute; Core ML chooses its unit when it runs them.

        Raises:
            InputRefused: no ML program, or damaged.
        """
        with refusing_malformed("Core ML program"):
            computing = computing_operations(self._package.main()[1])
        return PartitionReport("Core ML", partitions=1, delegated_ops=len(computing))


opened = CoreMLFile


def load_vendor() -> None:
    """Import Core ML's protobuf classes."""
    protos()


class _Reader:
    """Walks the main block in order."""

    def __init__(self, package: Package) -> None:
        function, self._block = package.main()
        self._package = package
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
                if named.type.tensorType.dataType != STRING:
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
        file = self._package.weight_file(blob.fileName)
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
    dtype = DTYPES.get(tensor_type.dataType, f"number {tensor_type.dataType}")
    return Tensor(name, sizes, dtype, constant)
