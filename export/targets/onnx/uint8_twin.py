"""A file of signed activations as x86 takes it: the same steps, all 128 higher.

ONNX Runtime on x86 computes operators of unsigned activations in integers, and of signed ones only
some; on ARM it takes both. What a signed file holds is proven on x86 by its twin: the zero point of
every activation is moved by 128, its type to uint8, and nothing else. A step stays the same number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cnn_export.program.tensors import Session, Tensors

_OFFSET = 128
_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")


def write_twin(path: Path, twin: Path) -> frozenset[str]:
    """Write the twin of the file at ``path`` to ``twin``; return the inputs and outputs moved.

    Raises:
        ValueError: an activation is quantized in a form that is not the exporter's, or unsigned:
            such a file is its own twin, and a proof of that would say nothing about signed ones.
            Inputs and outputs may be in uint8 at the border.
    """
    import onnx

    model: Any = onnx.load(str(path))
    stored = {each.name: each for each in model.graph.initializer}
    made: dict[str, Any] = {}
    border = _unsigned_border(model)
    for node in model.graph.node:
        if node.op_type not in _CONVERSIONS or node.input[0] in stored:
            continue
        if len(node.input) < 3 or node.input[2] not in stored:  # x, scale, zero point
            raise ValueError(f"{node.name} has no stored zero point")
        zero_point = stored[node.input[2]]
        if zero_point.data_type == onnx.TensorProto.INT8:
            name = f"{zero_point.name}_uint8"
            made[name] = _moved(zero_point, name)
            node.input[2] = name
        elif not border & {node.input[0], node.output[0]}:
            raise ValueError(f"{node.name} quantizes an activation in another type than int8")
    model.graph.initializer.extend(made.values())
    del model.graph.value_info[:]
    moved: set[str] = set()
    for each in (*model.graph.input, *model.graph.output):
        tensor = each.type.tensor_type
        if tensor.elem_type == onnx.TensorProto.INT8:
            tensor.elem_type = onnx.TensorProto.UINT8
            moved.add(each.name)
    onnx.save(model, str(twin))
    return frozenset(moved)


def signed(session: Session, moved: frozenset[str]) -> Session:
    """Return a twin's session that takes and gives int8 where the file itself does."""

    def shifted(values: Tensors, by: int, kind: type) -> Tensors:
        return {
            name: (value.astype(np.int16) + by).astype(kind) if name in moved else value
            for name, value in values.items()
        }

    return lambda inputs: shifted(session(shifted(inputs, _OFFSET, np.uint8)), -_OFFSET, np.int8)


def _unsigned_border(model: Any) -> set[str]:
    import onnx

    border = (*model.graph.input, *model.graph.output)
    unsigned = onnx.TensorProto.UINT8
    return {each.name for each in border if each.type.tensor_type.elem_type == unsigned}


def _moved(zero_point: Any, name: str) -> Any:
    from onnx import numpy_helper

    value = np.asarray(numpy_helper.to_array(zero_point), dtype=np.int16) + _OFFSET
    return numpy_helper.from_array(value.astype(np.uint8), name)
