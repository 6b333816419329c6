"""What TFLite's operators are, what they compute with, and how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cnn_export.artifact_files import macs
from cnn_export.artifact_files.op_graph import Op, Tensor, kinds_by_category, word_set

_KINDS = kinds_by_category(
    {
        "elementwise": (
            "ADD SUB MUL DIV MAXIMUM MINIMUM POW SQUARED_DIFFERENCE FLOOR_DIV FLOOR_MOD SELECT "
            "SELECT_V2 WHERE EQUAL NOT_EQUAL LESS LESS_EQUAL GREATER GREATER_EQUAL LOGICAL_AND "
            "LOGICAL_OR ADD_N ATAN2 BITWISE_XOR RIGHT_SHIFT"
        ),
        "activation": (
            "RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 LEAKY_RELU PRELU ELU GELU LOGISTIC TANH "
            "HARD_SWISH SOFTMAX LOG_SOFTMAX EXP LOG SQRT RSQRT SQUARE NEG ABS SIGN FLOOR CEIL "
            "ROUND SIN COS L2_NORMALIZATION LOCAL_RESPONSE_NORMALIZATION LOGICAL_NOT"
        ),
        "pool": (
            "AVERAGE_POOL_2D MAX_POOL_2D L2_POOL_2D MEAN SUM REDUCE_MAX REDUCE_MIN REDUCE_PROD "
            "REDUCE_ANY REDUCE_ALL ARG_MAX ARG_MIN CUMSUM TOPK_V2"
        ),
        "padding": "PAD PADV2 MIRROR_PAD",
        "layout": "TRANSPOSE SPACE_TO_DEPTH DEPTH_TO_SPACE SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND",
        "window": "SLICE STRIDED_SLICE SPLIT SPLIT_V UNPACK GATHER GATHER_ND EMBEDDING_LOOKUP",
        "copy": (
            "CONCATENATION PACK TILE BROADCAST_TO FILL ZEROS_LIKE REVERSE_V2 RESIZE_BILINEAR "
            "RESIZE_NEAREST_NEIGHBOR DYNAMIC_UPDATE_SLICE SCATTER_ND RANGE ONE_HOT"
        ),
        "view": "RESHAPE SQUEEZE EXPAND_DIMS SHAPE RANK",
        "conversion": "QUANTIZE DEQUANTIZE CAST FAKE_QUANT",
    }
)

_PARAMETERS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        word_set(
            "RESHAPE EXPAND_DIMS PAD MIRROR_PAD TRANSPOSE MEAN SUM REDUCE_MAX REDUCE_MIN "
            "REDUCE_PROD REDUCE_ANY REDUCE_ALL ARG_MAX ARG_MIN CUMSUM TOPK_V2 TILE BROADCAST_TO "
            "REVERSE_V2 RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR"
        ),
        (1,),
    ),
    "PADV2": (1, 2),
    "SLICE": (1, 2),
    "STRIDED_SLICE": (1, 2, 3),
    "SPLIT": (0,),
    "SPLIT_V": (1, 2),
    "SPACE_TO_BATCH_ND": (1, 2),
    "BATCH_TO_SPACE_ND": (1, 2),
    "TRANSPOSE_CONV": (0,),
}
"""Positions of inputs that hold shapes, axes and paddings: attributes in other formats."""


def computing_inputs(kind: str, inputs: Sequence[int]) -> list[int]:
    """Return the inputs without those that are parameters of the operator."""
    skipped = _PARAMETERS.get(kind, ())
    return [tensor for place, tensor in enumerate(inputs) if place not in skipped]


def op_of(
    kind: str,
    index: int,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    tensors: Mapping[str, Tensor],
) -> Op:
    """Return one operator. ``macs`` is ``None`` for a kind that is not in the tables here."""
    name = f"{kind}_{index}"
    count = _COUNTERS.get(kind)
    if count is not None:
        counted = count([tensors[key].shape for key in (*inputs, *outputs)])
        return Op(name, kind, "contraction", inputs, outputs, counted)
    category = _KINDS.get(kind, "unknown")
    return Op(name, kind, category, inputs, outputs, None if category == "unknown" else 0)


def _batch_product(shapes: list[tuple[int, ...]]) -> int:
    # Either factor may be stored transposed; the sum's length follows from the three sizes.
    left, output = shapes[0][-2:], shapes[-1]
    rows = output[-2]
    return macs.matrix_product(output, left[0] * left[1] // rows if rows else 0)


_COUNTERS: dict[str, Callable[[list[tuple[int, ...]]], int]] = {
    # Filters lie as (out, height, width, in/groups), a depthwise one as (1, height, width, out).
    "CONV_2D": lambda s: macs.convolution(s[-1], s[1][1:]),
    "CONV_3D": lambda s: macs.convolution(s[-1], s[1][:-1]),
    "DEPTHWISE_CONV_2D": lambda s: macs.convolution(s[-1], s[1][1:3]),
    "TRANSPOSE_CONV": lambda s: macs.transposed_convolution(s[1], s[0][:3]),
    "FULLY_CONNECTED": lambda s: macs.fully_connected(s[0], s[1]),
    "BATCH_MATMUL": _batch_product,
}
"""From the shapes of inputs and outputs, in order, parameters left out."""
