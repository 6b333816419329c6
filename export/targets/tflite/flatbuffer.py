"""A TFLite file as the vendor's objects, edits of them, and the bytes of it again.

The schema's generated classes have no types: they are ``Any`` here.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from cnn_export.program.tensors import Array

INT8, FLOAT32, INT64 = "int8", "float32", "int64"
_FILE_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
"""Of every buffer, as in files that the converter writes: runtimes read int32 biases in place."""

_INT8_VERSION = 2
"""Since this version of theirs, ``QUANTIZE`` and ``DEQUANTIZE`` take int8."""
_PER_CHANNEL_VERSION = 5
"""Since this one, ``DEQUANTIZE`` takes a scale per channel."""
_UINT8_OFFSET = 128
_LAST_OLD_CODE = 127


def read_model(content: bytes) -> Any:
    """Return the file as a ``ModelT``."""
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def written(model: Any) -> bytes:
    """Return a ``ModelT`` as the content of a file; the same model gives the same bytes."""
    import flatbuffers

    vendor: Any = flatbuffers

    class Aligned(vendor.Builder):
        """Honours the ``force_align`` of buffers, which generated Python leaves out."""

        def CreateNumpyVector(self, x: Any) -> Any:
            self.Prep(_ALIGNMENT, x.nbytes)
            return super().CreateNumpyVector(x)

    builder = Aligned(1024)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def empty_unused_buffers(model: Any) -> None:
    """Let go of what no tensor and no metadata stores any more; places in the list stay."""
    used = {tensor.buffer for subgraph in model.subgraphs for tensor in subgraph.tensors}
    used |= {entry.buffer for entry in model.metadata or ()}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None


class SubgraphEditor:
    """One subgraph of a ``ModelT``: reads its operators, adds tensors and conversions."""

    def __init__(self, model: Any, subgraph: Any) -> None:
        from ai_edge_litert import schema_py_generated

        self._schema: Any = schema_py_generated
        self._model, self.subgraph = model, subgraph
        codes = vars(self._schema.BuiltinOperator)
        self._names = {code: name for name, code in codes.items() if isinstance(code, int)}

    @property
    def operators(self) -> list[Any]:
        """The operators in the order they run."""
        return self.subgraph.operators

    def name(self, operator: Any) -> str:
        """Return the operator's kind, e.g. ``CONV_2D``."""
        return self._names[self._model.operatorCodes[operator.opcodeIndex].builtinCode]

    def is_int8(self, tensor: int) -> bool:
        """Whether a tensor holds int8; −1 is an optional one that is absent."""
        return tensor >= 0 and self.subgraph.tensors[tensor].type == self._schema.TensorType.INT8

    def is_int32(self, tensor: int) -> bool:
        """Whether a tensor holds int32."""
        return self.subgraph.tensors[tensor].type == self._schema.TensorType.INT32

    def beside(self, tensor: int, kind: str) -> int:
        """Add a tensor like another one, in ``float32``, ``uint8`` or ``int64``; return its index.

        Of an int8 one, ``uint8`` is the same steps.
        """
        like, new = self.subgraph.tensors[tensor], self._schema.TensorT()
        new.shape, new.shapeSignature, new.hasRank = like.shape, like.shapeSignature, like.hasRank
        new.type = getattr(self._schema.TensorType, kind.upper())
        new.name = like.name + f"_{kind}".encode()
        if kind not in (FLOAT32, INT64):
            new.quantization = copy.copy(like.quantization)
            points = like.quantization.zeroPoint
            new.quantization.zeroPoint = [int(each) + _UINT8_OFFSET for each in points]
        self.subgraph.tensors.append(new)
        return len(self.subgraph.tensors) - 1

    def content(self, tensor: int) -> bytes:
        """Return what is stored of a constant tensor; nothing of another one."""
        data = self._model.buffers[self.subgraph.tensors[tensor].buffer].data
        return b"" if data is None else bytes(data)

    def stored_int8(self, like: int, integers: Array, scales: Array) -> int:
        """Add a constant of int8 in a float tensor's shape, and return its index.

        ``integers``: in the tensor's layout, output channels first; ``scales``: (out,), float32.
        """
        buffer, tensor = self._schema.BufferT(), self.subgraph.tensors[like]
        buffer.data = np.frombuffer(integers.tobytes(), dtype=np.uint8)
        self._model.buffers.append(buffer)
        new = copy.copy(tensor)
        new.type, new.buffer = self._schema.TensorType.INT8, len(self._model.buffers) - 1
        new.name = tensor.name + b"_int8"
        new.quantization = self._schema.QuantizationParametersT()
        new.quantization.scale = scales
        new.quantization.zeroPoint = np.zeros(len(scales), dtype=np.int64)
        new.quantization.quantizedDimension = 0
        self.subgraph.tensors.append(new)
        return len(self.subgraph.tensors) - 1

    def scales(self, tensor: int) -> Array:
        """Return the scales of a quantized tensor, (channels,)."""
        return np.asarray(self.subgraph.tensors[tensor].quantization.scale, dtype=np.float32)

    def computed(self, tensor: int) -> None:
        """Let a constant be what an operator gives."""
        self.subgraph.tensors[tensor].buffer = 0

    def read_per_channel(self) -> None:
        """Declare that ``DEQUANTIZE`` is given a scale per channel."""
        code = self._model.operatorCodes[self._code("DEQUANTIZE")]
        code.version = max(code.version, _PER_CHANNEL_VERSION)

    def call(self, name: str, source: int, result: int) -> Any:
        """Return a new operator of one input and one output, which is not in its place yet."""
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._code(name)
        operator.inputs, operator.outputs = [source], [result]
        return operator

    def _code(self, name: str) -> int:
        """Return the place of a kind among those that the model declares."""
        wanted = getattr(self._schema.BuiltinOperator, name)
        for index, code in enumerate(self._model.operatorCodes):
            if code.builtinCode == wanted:
                return index
        code = self._schema.OperatorCodeT()
        # Old readers know the first 127 kinds by another field.
        code.builtinCode, code.deprecatedBuiltinCode = wanted, min(wanted, _LAST_OLD_CODE)
        code.version = _INT8_VERSION
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1
