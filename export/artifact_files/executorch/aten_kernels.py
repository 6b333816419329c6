"""ExecuTorch's own kernels: what runs outside every delegate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnn_export.artifact_files import macs
from cnn_export.artifact_files.op_graph import Op, Tensor, kinds_by_category

_KINDS = kinds_by_category(
    {
        "elementwise": (
            "add sub mul div maximum minimum pow rsub where eq ne lt gt le ge logical_and "
            "logical_or logical_xor bitwise_and bitwise_or bitwise_xor remainder fmod floor_divide "
            "atan2 masked_fill any bitwise_left_shift bitwise_right_shift"
        ),
        "activation": (
            "relu sigmoid tanh clamp hardtanh hardswish hardsigmoid leaky_relu elu gelu exp log "
            "sqrt rsqrt neg abs floor ceil round sin cos erf reciprocal _softmax _log_softmax "
            "silu native_batch_norm _native_batch_norm_legit_no_training native_layer_norm "
            "native_group_norm glu _native_batch_norm_legit acos acosh asin asinh atan atanh cosh "
            "sinh tan expm1 log10 log1p log2 logit sign trunc isinf isnan logical_not bitwise_not "
            "tril"
        ),
        "pool": (
            "mean sum amax amin max min argmax argmin avg_pool2d max_pool2d_with_indices "
            "_adaptive_avg_pool2d adaptive_avg_pool2d prod cumsum topk sort var var_mean"
        ),
        "padding": (
            "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d "
            "replication_pad2d replication_pad3d"
        ),
        "layout": "permute_copy transpose_copy t_copy pixel_shuffle pixel_unshuffle",
        "window": (
            "slice_copy select_copy split_copy split_with_sizes_copy index_select index gather "
            "embedding unbind_copy narrow_copy diagonal_copy as_strided_copy unfold_copy "
            "masked_select"
        ),
        "copy": (
            "cat stack clone copy view_copy expand_copy unsqueeze_copy squeeze_copy alias_copy "
            "repeat detach_copy full full_like zeros ones slice_scatter scatter flip arange "
            "upsample_bilinear2d _upsample_bilinear2d_aa upsample_nearest2d roll grid_sampler_2d "
            "fill copy_ _h2d_copy _d2h_copy _empty_dim_order lift_fresh_copy repeat_interleave "
            "index_put index_put_ masked_scatter "
            "scatter_add select_scatter scalar_tensor empty"
        ),
        "conversion": (
            "_to_copy _to_dim_order_copy _clone_dim_order quantize_per_tensor "
            "dequantize_per_tensor quantize_per_channel dequantize_per_channel"
        ),
        "view": "et_view sym_size sym_numel",
    }
)
_PRODUCTS = frozenset({"mm", "bmm", "matmul", "mv", "dot"})
"""Kernels whose first factor's last size is summed over."""


def kernel_op(
    name: str,
    kind: str,
    read: Sequence[str],
    written: Sequence[str],
    tensors: Mapping[str, Tensor],
    *,
    transposed: bool,
) -> Op:
    """Return the operator of one kernel call.

    ``kind`` is the full name, e.g. ``aten::add.out``; ``transposed`` is a convolution's flag.
    """
    base = kind.rpartition("::")[2].partition(".")[0]
    counted = _contraction(base, [tensors[k].shape for k in (*read, *written)], transposed)
    if counted is not None:
        return Op(name, kind, "contraction", tuple(read), tuple(written), counted)
    category = _KINDS.get(base, "unknown")
    count = None if category == "unknown" else 0
    return Op(name, kind, category, tuple(read), tuple(written), count)


def _contraction(base: str, shapes: list[tuple[int, ...]], transposed: bool) -> int | None:
    output = shapes[-1]
    if base == "convolution":
        if transposed:
            return macs.transposed_convolution(shapes[0], shapes[1][1:])
        return macs.convolution(output, shapes[1][1:])
    if base in _PRODUCTS:
        return macs.matrix_product(output, shapes[0][-1])
    if base in {"addmm", "baddbmm"}:
        return macs.matrix_product(output, shapes[1][-1])
    if base == "linear":
        return macs.matrix_product(output, shapes[0][-1])
    return None
