"""Give operators and borders back their floats that the converter made integers of.

In its static mode the converter drops every pair of dequantize and quantize around an operator and
calls the integer kernel. Of hard-swish, means or sigmoids TFLite has one, but the XNNPACK delegate
takes none of them: each ends a partition, and computes otherwise than the graph says. Between
``DEQUANTIZE`` and ``QUANTIZE`` the delegate takes the float kernel, and one partition is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnn_export.targets.tflite.flatbuffer import (
    FLOAT32,
    INT8,
    SubgraphEditor,
    read_model,
    written,
)

_INTEGER = frozenset(
    {
        *("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"),
        *("ADD", "SUB", "MUL", "MAX_POOL_2D", "QUANTIZE", "DEQUANTIZE"),
        *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "PAD", "CONCATENATION"),
        *("SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "PACK", "UNPACK", "GATHER"),
        *("DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "RESIZE_NEAREST_NEIGHBOR"),
    }
)
"""What a decision means to be integers: layers, sums, products, and what only moves values."""


def restored(content: bytes, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> bytes:
    """Return the file with all other operators in float32, and the borders in the wanted dtypes.

    ``inputs`` and ``outputs`` hold, by name, ``float32``, ``int8`` or ``uint8``. A tensor that is
    no int8 in ``content`` stays as it is.
    """
    model = read_model(content)
    for index, subgraph in enumerate(model.subgraphs):
        editor = SubgraphEditor(model, subgraph)
        _restore_operators(editor)
        for signature in model.signatureDefs or ():
            if signature.subgraphIndex == index:
                _restore_inputs(editor, signature.inputs, inputs)
                _restore_outputs(editor, signature.outputs, outputs)
    return written(model)


def _restore_inputs(editor: SubgraphEditor, entries: list[Any], wanted: Mapping[str, str]) -> None:
    """Let callers give the wanted dtype, which becomes int8 inside."""
    for entry in entries:
        tensor, kind = entry.tensorIndex, wanted[entry.name.decode()]
        if kind != INT8 and editor.is_int8(tensor):
            entry.tensorIndex = editor.beside(tensor, kind)
            editor.operators.insert(0, editor.call("QUANTIZE", entry.tensorIndex, tensor))
            _rename(editor.subgraph.inputs, tensor, entry.tensorIndex)


def _restore_outputs(editor: SubgraphEditor, entries: list[Any], wanted: Mapping[str, str]) -> None:
    """Let callers get the wanted dtype, made of int8 at the end."""
    for entry in entries:
        tensor, kind = entry.tensorIndex, wanted[entry.name.decode()]
        if kind != INT8 and editor.is_int8(tensor):
            entry.tensorIndex = editor.beside(tensor, kind)
            name = "DEQUANTIZE" if kind == FLOAT32 else "QUANTIZE"
            editor.operators.append(editor.call(name, tensor, entry.tensorIndex))
            _rename(editor.subgraph.outputs, tensor, entry.tensorIndex)


def _restore_operators(editor: SubgraphEditor) -> None:
    """Put every integer operator that should not be one between two conversions."""
    operators: list[Any] = []
    for operator in editor.operators:
        is_meant = editor.name(operator) in _INTEGER
        operators.extend([operator] if is_meant else _island(editor, operator))
    editor.operators[:] = operators


def _island(editor: SubgraphEditor, operator: Any) -> list[Any]:
    """Return the operator on floats, with the conversions that this takes around it."""
    before: list[Any] = []
    after: list[Any] = []
    for position, tensor in enumerate(operator.inputs):
        if editor.is_int8(tensor):
            operator.inputs[position] = editor.beside(tensor, FLOAT32)
            before.append(editor.call("DEQUANTIZE", tensor, operator.inputs[position]))
    for position, tensor in enumerate(operator.outputs):
        if editor.is_int8(tensor):
            operator.outputs[position] = editor.beside(tensor, FLOAT32)
            after.append(editor.call("QUANTIZE", operator.outputs[position], tensor))
    return [*before, operator, *after]


def _rename(tensors: list[int], old: int, new: int) -> None:
    tensors[:] = [new if tensor == old else tensor for tensor in tensors]
