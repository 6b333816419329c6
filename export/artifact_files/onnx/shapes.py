"""Shapes and dtypes of an ONNX model's values, at batch 1 where the batch is symbolic."""

from __future__ import annotations

from typing import Any

from cnn_export.artifact_files.onnx.bounds import may_propagate, require_bounded_functions
from cnn_export.artifact_files.op_graph import Tensor
from cnn_export.errors import InputRefused

_DTYPES = {"float": "float32", "double": "float64"}
"""``TensorProto.DataType`` names that are not the dtype's own in lower case."""


def dtype_name(number: int) -> str:
    """Return the name of a ``TensorProto.DataType``."""
    from onnx import TensorProto

    name = TensorProto.DataType.Name(number).lower()
    return "float8" if name.startswith("float8") else _DTYPES.get(name, name)


def value_tensors(model: Any) -> dict[str, Tensor]:
    """Return inputs and results by name, inferred anew from the inputs; edits ``model``.

    Shapes stored in the file stand in where inference cannot go, as behind a custom operator. A
    value whose shape is known in neither way is left out.

    Raises:
        InputRefused: an input has no shape, or the shapes contradict each other.
    """
    graph = model.graph
    symbols = {d.dim_param for value in graph.input for d in value.type.tensor_type.shape.dim}
    stored = {value.name: _tensor(value, symbols) for value in (*graph.value_info, *graph.output)}
    for value in graph.input:
        _fix_input(value)
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    inferred = _inferred(model).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    found = {value.name: _tensor(value, set()) for value in values}
    merged = stored | {name: tensor for name, tensor in found.items() if tensor is not None}
    return {name: tensor for name, tensor in merged.items() if tensor is not None}


def _fix_input(value: Any) -> None:
    if not value.type.tensor_type.HasField("shape"):
        raise InputRefused(f"input {value.name!r} has no shape; export it with one")
    for dimension in value.type.tensor_type.shape.dim:
        if not dimension.HasField("dim_value"):
            dimension.dim_value = 1


def _tensor(value: Any, symbols: set[str]) -> Tensor | None:
    """Return the value, sizes named in ``symbols`` being 1; ``None`` where a size is open."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    sizes = [
        d.dim_value if d.HasField("dim_value") else 1 if d.dim_param in symbols - {""} else None
        for d in kind.shape.dim
    ]
    known = tuple(size for size in sizes if size is not None)
    if len(known) < len(sizes):
        return None
    return Tensor(value.name, known, dtype_name(kind.elem_type))


def _inferred(model: Any) -> Any:
    import onnx

    require_bounded_functions(model)
    infer = onnx.shape_inference.infer_shapes
    try:
        return infer(model, strict_mode=True, data_prop=may_propagate(infer(model)))
    except (
        onnx.shape_inference.InferenceError,
        onnx.checker.ValidationError,
        RuntimeError,
    ) as error:
        line = " ".join(str(error).split())[:160]
        raise InputRefused(f"its shapes contradict each other ({line}); export it again") from error
