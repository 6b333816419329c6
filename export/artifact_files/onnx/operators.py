"""What ONNX's operators are, what they compute with, and how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnn_export.artifact_files import macs
from cnn_export.artifact_files.macs import einsum
from cnn_export.artifact_files.op_graph import Op, Tensor, kinds_by_category, word_set

_KINDS = kinds_by_category(
    {
        "elementwise": (
            "Add Sub Mul Div Pow Max Min Sum Mean Mod Where Equal Greater GreaterOrEqual Less "
            "LessOrEqual And Or Xor BitShift BitwiseAnd BitwiseOr BitwiseXor"
        ),
        "activation": (
            "Relu Clip LeakyRelu PRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Swish "
            "Mish Tanh Softplus Softsign ThresholdedRelu Softmax LogSoftmax Hardmax Exp Log Sqrt "
            "Reciprocal Neg Abs Sign Floor Ceil Round Sin Cos Erf Not BatchNormalization "
            "InstanceNormalization LayerNormalization GroupNormalization LpNormalization LRN "
            "MeanVarianceNormalization RMSNormalization Shrink Acos Acosh Asin Asinh Atan Atanh "
            "Cosh Sinh Tan IsInf IsNaN BitwiseNot Trilu"
        ),
        "pool": (
            "AveragePool MaxPool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool ReduceMean "
            "ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare "
            "ReduceLogSum ReduceLogSumExp ArgMax ArgMin CumSum TopK NonMaxSuppression"
        ),
        "padding": "Pad",
        "layout": "Transpose SpaceToDepth DepthToSpace",
        "window": "Slice Split Gather GatherElements GatherND Compress",
        "copy": (
            "Concat Tile Expand Resize Upsample ScatterND ScatterElements Range OneHot "
            "ConstantOfShape GridSample"
        ),
        "view": "Reshape Flatten Squeeze Unsqueeze Identity Dropout Shape Size",
        "conversion": "Cast CastLike QuantizeLinear DequantizeLinear DynamicQuantizeLinear",
    }
)

_FIRST_ONLY = word_set(
    "Reshape Squeeze Unsqueeze Expand Tile Slice Split Pad Resize Upsample Clip CumSum TopK "
    "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare "
    "ReduceLogSum ReduceLogSumExp QuantizeLinear DequantizeLinear Dropout"
)
"""Operators whose other inputs are shapes, axes, bounds or scales: attributes elsewhere."""

_SELECTED = {"QLinearConv": (0, 3, 8), "QLinearMatMul": (0, 3), "ConvInteger": (0, 1)}
"""Inputs that hold elements where scales and zero points stand between them."""


def computing_inputs(kind: str, inputs: Sequence[str]) -> list[str]:
    """Return the inputs without those that are parameters of the operator."""
    if kind in _FIRST_ONLY:
        return list(inputs[:1])
    if kind in _SELECTED:
        return [inputs[place] for place in _SELECTED[kind] if place < len(inputs)]
    return list(inputs[:2]) if kind == "MatMulInteger" else list(inputs)


def op_of(
    name: str,
    kind: str,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    tensors: Mapping[str, Tensor],
    attributes: Mapping[str, Any],
) -> Op:
    """Return one node. ``macs`` is ``None`` for a kind that is not in the tables here."""
    count = _COUNTERS.get(kind)
    if count is not None:
        counted = count([tensors[key].shape for key in (*inputs, *outputs)], attributes)
        return Op(name, kind, "contraction", inputs, outputs, counted)
    category = _KINDS.get(kind, "unknown")
    return Op(name, kind, category, inputs, outputs, None if category == "unknown" else 0)


_Shapes = list[tuple[int, ...]]


def _convolution(shapes: _Shapes, _: Mapping[str, Any]) -> int:
    return macs.convolution(shapes[-1], shapes[1][1:])


def _transposed(shapes: _Shapes, _: Mapping[str, Any]) -> int:
    return macs.transposed_convolution(shapes[0], shapes[1][1:])


def _product(shapes: _Shapes, _: Mapping[str, Any]) -> int:
    return macs.matrix_product(shapes[-1], shapes[0][-1])


def _gemm(shapes: _Shapes, attributes: Mapping[str, Any]) -> int:
    summed = shapes[0][0 if attributes.get("transA", 0) else 1]
    return macs.matrix_product(shapes[-1], summed)


def _einsum(shapes: _Shapes, attributes: Mapping[str, Any]) -> int | None:
    return einsum(attributes["equation"].decode(), shapes[:-1])


_COUNTERS: dict[str, Callable[[_Shapes, Mapping[str, Any]], int | None]] = {
    **dict.fromkeys(("Conv", "QLinearConv", "ConvInteger"), _convolution),
    "ConvTranspose": _transposed,
    "Einsum": _einsum,
    "Gemm": _gemm,
    **dict.fromkeys(("MatMul", "QLinearMatMul", "MatMulInteger"), _product),
}
"""From the shapes of inputs and outputs, in order, parameters left out."""
