"""What MIL's operations are, what they compute with, and how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnn_export.artifact_files import macs
from cnn_export.artifact_files.op_graph import Op, Tensor, kinds_by_category, word_set

ALWAYS_CONSTANT = frozenset({"const"})
"""Operations that are their value; ``constexpr_…`` ones are decompressed once, at load."""

_KINDS = kinds_by_category(
    {
        "elementwise": (
            "add sub mul real_div floor_div mod pow maximum minimum select equal not_equal "
            "greater greater_equal less less_equal logical_and logical_or logical_xor"
        ),
        "activation": (
            "relu relu6 leaky_relu prelu elu gelu sigmoid sigmoid_hard silu clamped_relu clip "
            "thresholded_relu linear_activation scaled_tanh softplus softplus_parametric softsign "
            "softmax tanh exp exp2 log sqrt rsqrt square inverse abs sign floor ceil round sin "
            "cos erf threshold logical_not batch_norm instance_norm layer_norm l2_norm "
            "local_response_norm acos asin atan atanh cosh sinh tan"
        ),
        "pool": (
            "avg_pool max_pool l2_pool reduce_mean reduce_sum reduce_max reduce_min reduce_prod "
            "reduce_l1_norm reduce_l2_norm reduce_sum_square reduce_log_sum reduce_log_sum_exp "
            "reduce_argmax reduce_argmin cumsum topk"
        ),
        "padding": "pad",
        "layout": (
            "transpose pixel_shuffle pixel_unshuffle space_to_depth depth_to_space space_to_batch "
            "batch_to_space"
        ),
        "window": "slice_by_index slice_by_size split gather gather_along_axis gather_nd crop",
        "copy": (
            "concat stack tile upsample_bilinear upsample_nearest_neighbor resize_bilinear "
            "resize_nearest_neighbor resize crop_resize scatter scatter_nd scatter_along_axis "
            "reverse fill range_1d one_hot slice_update"
        ),
        "view": "reshape reshape_like squeeze expand_dims flatten2d identity shape",
        "conversion": "cast quantize dequantize",
    }
)

_ELEMENTS = word_set("x y a b cond weight bias data values input query key value attn_mask")
"""Parameters that hold elements; the others are axes, paddings, bounds and scales."""
_ALSO = {"prelu": frozenset({"alpha"})}
_ORDER = ("x", "query", "key", "value", "weight")
"""What the counters find first."""


def computing_inputs(kind: str, parameters: Sequence[str]) -> list[str]:
    """Return the parameters that hold elements, in a fixed order: protobuf maps have none."""
    if kind.startswith("constexpr_"):
        return []
    used = [p for p in parameters if p in _ELEMENTS | _ALSO.get(kind, frozenset())]
    return sorted(used, key=lambda p: (_ORDER.index(p) if p in _ORDER else len(_ORDER), p))


def op_of(
    operation: Any,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    tensors: Mapping[str, Tensor],
) -> Op:
    """Return one operation. ``macs`` is ``None`` for a kind that is not in the tables here."""
    kind = str(operation.type)
    name = outputs[0] if outputs else kind
    if kind.startswith("constexpr_"):
        return Op(name, kind, "constant", inputs, outputs)
    count = _COUNTERS.get(kind)
    if count is not None:
        shapes = [tensors[key].shape for key in (*inputs, *outputs)]
        return Op(name, kind, "contraction", inputs, outputs, count(shapes))
    category = _KINDS.get(kind, "unknown")
    return Op(name, kind, category, inputs, outputs, None if category == "unknown" else 0)


_COUNTERS: dict[str, Callable[[list[tuple[int, ...]]], int]] = {
    # Weights lie as (out, in/groups, …) and, transposed, as (in, out/groups, …).
    "conv": lambda s: macs.convolution(s[-1], s[1][1:]),
    "conv_transpose": lambda s: macs.transposed_convolution(s[0], s[1][1:]),
    "linear": lambda s: macs.matrix_product(s[-1], s[0][-1]),
    "matmul": lambda s: _matmul(s),
    "scaled_dot_product_attention": lambda s: macs.attention(s[0], s[1], s[2]),
}
"""From the shapes of inputs and outputs, in order."""


def _matmul(shapes: list[tuple[int, ...]]) -> int:
    # Either factor may be transposed; the sum's length follows from the sizes of the first.
    left, output = shapes[0][-2:], shapes[-1]
    rows = output[-2] if len(output) > 1 else 1
    return macs.matrix_product(output, left[0] * left[-1] // rows if rows else 0)
