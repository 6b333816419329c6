"""Inputs and outputs of a TFLite file in the wanted dtypes; inside, everything is int8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnn_export.targets.tflite.flatbuffer import FLOAT32, INT8, INT64, SubgraphEditor


def restore_inputs(editor: SubgraphEditor, entries: list[Any], wanted: Mapping[str, str]) -> None:
    """Let callers give the wanted dtype, which becomes int8 inside.

    Whole numbers of 64 bits, which the converter narrows in its static mode, are given in 64.
    """
    for entry in entries:
        tensor, kind = entry.tensorIndex, wanted[entry.name.decode()]
        name = _conversion(editor, tensor, kind)
        if name is not None:
            entry.tensorIndex = editor.beside(tensor, kind)
            editor.operators.insert(0, editor.call(name, entry.tensorIndex, tensor))
            _rename(editor.subgraph.inputs, tensor, entry.tensorIndex)


def _conversion(editor: SubgraphEditor, tensor: int, kind: str) -> str | None:
    if editor.is_int8(tensor) and kind != INT8:
        return "QUANTIZE"
    return "CAST" if editor.is_int32(tensor) and kind == INT64 else None


def restore_outputs(editor: SubgraphEditor, entries: list[Any], wanted: Mapping[str, str]) -> None:
    """Let callers get the wanted dtype, made of int8 at the end; one tensor may be two outputs."""
    made: dict[int, int] = {}
    for entry in entries:
        tensor, kind = entry.tensorIndex, wanted[entry.name.decode()]
        if tensor not in made:
            made[tensor] = _output(editor, tensor, kind)
            _rename(editor.subgraph.outputs, tensor, made[tensor])
        entry.tensorIndex = made[tensor]


def _output(editor: SubgraphEditor, tensor: int, kind: str) -> int:
    # What is returned twice, or read in float as well, the converter dequantizes in spite of all.
    integers = tensor if editor.is_int8(tensor) else _dequantized(editor, tensor)
    if integers is None or kind == (INT8 if integers == tensor else FLOAT32):
        return tensor
    if kind == INT8:
        return integers
    result = editor.beside(integers, kind)
    name = "DEQUANTIZE" if kind == FLOAT32 else "QUANTIZE"
    editor.operators.append(editor.call(name, integers, result))
    return result


def _dequantized(editor: SubgraphEditor, tensor: int) -> int | None:
    """Return the int8 that a tensor is dequantized from, if it is."""
    makers = [each for each in editor.operators if tensor in each.outputs]
    if len(makers) != 1 or editor.name(makers[0]) != "DEQUANTIZE":
        return None
    return makers[0].inputs[0] if editor.is_int8(makers[0].inputs[0]) else None


def _rename(tensors: list[int], old: int, new: int) -> None:
    tensors[:] = [new if tensor == old else tensor for tensor in tensors]
