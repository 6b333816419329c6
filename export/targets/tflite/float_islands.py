"""Give operators and borders back their floats that the converter made integers of.

In its static mode the converter drops every pair of dequantize and quantize around an operator and
calls the integer kernel. Fences keep it from that where the graph computes in float; what remains
are moves of integers that the XNNPACK delegate does not take in int8. Each would end a partition:
between ``DEQUANTIZE`` and ``QUANTIZE`` the delegate takes the float kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnn_export.targets.tflite.file_borders import restore_inputs, restore_outputs
from cnn_export.targets.tflite.flatbuffer import (
    FLOAT32,
    SubgraphEditor,
    read_model,
    written,
)
from cnn_export.targets.tflite.pruning import drop_unused, take_out

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


def restored(
    content: bytes, inputs: Mapping[str, str], outputs: Mapping[str, str], *, fence: str
) -> bytes:
    """Return the file with all other operators in float32, and the borders in the wanted dtypes.

    ``inputs`` and ``outputs`` hold, by name, ``float32``, ``int8`` or ``uint8``. A tensor that is
    no int8 in ``content`` stays as it is. Operators of the kind ``fence`` are taken out: what reads
    their results reads what they read.
    """
    model = read_model(content)
    for index, subgraph in enumerate(model.subgraphs):
        editor = SubgraphEditor(model, subgraph)
        take_out(editor, fence)
        _restore_operators(editor)
        signatures = [each for each in model.signatureDefs if each.subgraphIndex == index]
        for signature in signatures:
            restore_inputs(editor, signature.inputs, inputs)
            restore_outputs(editor, signature.outputs, outputs)
        entries = [each for named in signatures for each in (*named.inputs, *named.outputs)]
        drop_unused(editor, entries)
    return written(model)


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
