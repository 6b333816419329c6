"""Read a ``.tflite`` file through the FlatBuffers classes that ai-edge-litert carries."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from cnn_export.artifact_files.file_content import mapped
from cnn_export.artifact_files.malformed import refusing_malformed, require_bytes
from cnn_export.artifact_files.op_graph import Op, OpGraph, Tensor, at_batch_one
from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.artifact_files.read_limit import ReadLimit
from cnn_export.artifact_files.tflite.operators import computing_inputs, op_of
from cnn_export.artifact_files.tflite.partitions import planned_partitions
from cnn_export.command_line.packages import require
from cnn_export.errors import InputRefused

_MAGIC = b"TFL3"
_CUSTOM = "CUSTOM"
_RANK_MAX = 16
_DTYPES = {"STRING": "string", "FLOAT8_E4M3FN": "float8", "FLOAT8_E5M2": "float8"}
"""``TensorType`` names that are not the dtype's own in lower case."""


class TfliteFile:
    """One model, mapped once.

    Raises:
        InputRefused: it is no TFLite model.
        TargetUnavailable: ai-edge-litert is not installed; holds the install line.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise InputRefused("it is a folder, not a .tflite file")
        require("run-tflite", ["ai-edge-litert"])
        from ai_edge_litert import schema_py_generated

        self._path = path
        self._vendor: Any = schema_py_generated
        self._data = mapped(path)
        if bytes(self._data[4:8]) != _MAGIC:
            raise InputRefused("it is no TFLite model (no 'TFL3' at byte 4)")
        with refusing_malformed("TFLite model"):
            self._model: Any = self._vendor.Model.GetRootAs(self._data, 0)

    def graph(self) -> OpGraph:
        """Return the operators of the main subgraph; sizes open until run time count as 1.

        Raises:
            InputRefused: damaged.
        """
        with refusing_malformed("TFLite model"):
            if not self._model.SubgraphsLength():
                raise InputRefused("it holds no graph")
            return _Reader(self._vendor, self._model, len(self._data)).graph()

    def metadata(self) -> dict[str, str]:
        """Return the metadata entries that are text.

        Raises:
            InputRefused: damaged.
        """
        with refusing_malformed("TFLite model"):
            limit = ReadLimit(len(self._data))
            entries: dict[str, str] = {}
            for index in range(self._model.MetadataLength()):
                entry = self._model.Metadata(index)
                buffer = self._model.Buffers(entry.Buffer())
                limit.take(buffer.DataLength())
                content = b"" if buffer.DataIsNone() else buffer.DataAsNumpy().tobytes()
                entries[bytes(entry.Name() or b"").decode()] = content.decode(errors="replace")
            return entries

    def partitions(self) -> PartitionReport:
        """Return the partitions as the interpreter plans them when it loads the file.

        Raises:
            Exception: whatever it raises of a file that it does not load.
        """
        return planned_partitions(self._path)


opened = TfliteFile


def load_vendor() -> None:
    """Import the vendor's classes of the schema."""
    importlib.import_module("ai_edge_litert.schema_py_generated")


def load_planner() -> None:
    """Import the interpreter."""
    importlib.import_module("ai_edge_litert.interpreter")


class _Reader:
    """Walks the main subgraph in order of execution."""

    def __init__(self, vendor: Any, model: Any, file_bytes: int) -> None:
        self._model = model
        self._file_bytes = file_bytes
        self._limit = ReadLimit(file_bytes)
        self._graph = model.Subgraphs(0)
        self._op_names = _names(vendor.BuiltinOperator)
        self._dtypes = _names(vendor.TensorType)
        self._indices = range(self._graph.TensorsLength())
        self._kinds: dict[int, str] = {}
        batch = self._traced_batch()
        self._tensors = {str(index): self._tensor(index, batch) for index in self._indices}

    def graph(self) -> OpGraph:
        return OpGraph(
            "tflite",
            self._tensors,
            tuple(self._op(index) for index in range(self._graph.OperatorsLength())),
            self._keys(self._graph.InputsAsNumpy()),
            self._keys(self._graph.OutputsAsNumpy()),
        )

    def _tensor(self, index: int, batch: int | None) -> Tensor:
        tensor = self._graph.Tensors(index)
        dtype = self._dtypes[tensor.Type()]
        held = self._held_bytes(tensor.Buffer())
        sizes = _sizes(tensor)
        name = bytes(tensor.Name() or str(index).encode()).decode()
        self._limit.take(len(name))
        shape = sizes if held is not None else at_batch_one(sizes, batch)
        found = Tensor(name, shape, _DTYPES.get(dtype, dtype.lower()), held is not None)
        if held is not None and tensor.Sparsity() is None:
            require_bytes(name, held, found.nbytes)
        return found

    def _traced_batch(self) -> int | None:
        """Return the batch that results were recorded with though the input's is dynamic.

        The converter leaves it in place where the runtime will compute the shape anew.
        """
        for index in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(index)
            ends = (operator.Inputs(0), operator.Outputs(0))
            source, result = (self._graph.Tensors(self._indices[end]) for end in ends)
            if _is_open(source) and not _is_open(result) and result.ShapeLength():
                return int(result.Shape(0))
        return None

    def _held_bytes(self, index: int) -> int | None:
        """Return the bytes of a buffer, inside the FlatBuffers data or behind it."""
        buffer = self._model.Buffers(index)
        # An offset of 0 or 1 stands for data inside.
        if buffer.Offset() > 1:
            if buffer.Offset() + buffer.Size() > self._file_bytes:
                raise ValueError(f"buffer {index} ends past the end of the file")
            return int(buffer.Size())
        if buffer.DataIsNone() or not buffer.DataLength():
            return None
        # Reading the last byte proves that the data is there.
        buffer.Data(buffer.DataLength() - 1)
        return int(buffer.DataLength())

    def _op(self, index: int) -> Op:
        operator = self._graph.Operators(index)
        kind = self._kind(operator.OpcodeIndex())
        self._limit.take(operator.InputsLength())
        inputs = computing_inputs(kind, list(operator.InputsAsNumpy()))
        return op_of(
            kind,
            index,
            self._keys(inputs),
            self._keys(operator.OutputsAsNumpy()),
            self._tensors,
        )

    def _kind(self, index: int) -> str:
        if index not in self._kinds:
            self._kinds[index] = self._kind_of_code(index)
        return self._kinds[index]

    def _kind_of_code(self, index: int) -> str:
        code = self._model.OperatorCodes(index)
        # Codes above 127 do not fit the older field.
        name = self._op_names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        return bytes(code.CustomCode() or b"").decode() or name if name == _CUSTOM else name

    def _keys(self, indices: Any) -> tuple[str, ...]:
        """Return tensor keys; -1 marks an input left out, and no vector at all reads as 0."""
        if isinstance(indices, int):
            return ()
        self._limit.take(len(indices))
        return tuple(str(self._indices[int(i)]) for i in indices if int(i) >= 0)


def _sizes(tensor: Any) -> tuple[int, ...]:
    """Return the shape; where the signature says -1 the size is a placeholder, and 1 stands in."""
    if max(tensor.ShapeLength(), tensor.ShapeSignatureLength()) > _RANK_MAX:
        raise ValueError(f"a tensor of {tensor.ShapeLength()} dimensions")
    shape = [int(tensor.Shape(place)) for place in range(tensor.ShapeLength())]
    for place in range(tensor.ShapeSignatureLength()):
        if tensor.ShapeSignature(place) < 0:
            shape[place] = 1
    return tuple(shape)


def _is_open(tensor: Any) -> bool:
    """Whether the first size is known at run time only."""
    return tensor.ShapeSignatureLength() > 0 and tensor.ShapeSignature(0) < 0


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
