"""What a core ATen operator is called in a trace of the network: one rule per operator.

A rule returns the other spelling, a reason why there is none, or ``None`` where the operator
already stands in its only spelling.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.reparam.graph.operators import arguments, expand_list, operator_name, value_of
from cnn_export.reparam.graph.surgery import insert_call

_aten = torch.ops.aten
_Bound = dict[str, Any]
_MATRIX_RANK = 2

_CONVOLUTIONS: dict[tuple[int, bool], OpOverload] = {
    (1, False): _aten.conv1d.default,
    (2, False): _aten.conv2d.default,
    (3, False): _aten.conv3d.default,
    (1, True): _aten.conv_transpose1d.default,
    (2, True): _aten.conv_transpose2d.input,
    (3, True): _aten.conv_transpose3d.input,
}
"""By number of spatial dimensions and whether it is transposed."""


@dataclasses.dataclass(frozen=True)
class Spelling:
    """An operator and its arguments."""

    target: OpOverload
    args: tuple[Any, ...]


Rule = Callable[[fx.Node, _Bound], Spelling | str | None]


def _convolution(node: fx.Node, bound: _Bound) -> Spelling | str | None:
    key = (value_of(bound["weight"]).ndim - 2, bool(bound["transposed"]))
    if key not in _CONVOLUTIONS:
        return f"it has {key[0]} spatial dimensions"
    first = [bound[name] for name in ("input", "weight", "bias", "stride", "padding")]
    dilation, groups = bound["dilation"], bound["groups"]
    rest = [bound["output_padding"], groups, dilation] if key[1] else [dilation, groups]
    return Spelling(_CONVOLUTIONS[key], (*first, *rest))


def _respell_padding(node: fx.Node, bound: _Bound) -> Spelling | str | None:
    """Numbers for "same" and "valid": formats put the odd row of "same" on either side."""
    if not isinstance(bound["padding"], str):
        return None
    kernel = tuple(value_of(bound["weight"]).shape[2:])
    dilation = expand_list(bound["dilation"], len(kernel))
    is_same = bound["padding"] == "same"
    totals = [d * (k - 1) if is_same else 0 for d, k in zip(dilation, kernel, strict=True)]
    source = bound["input"]
    if any(total % 2 for total in totals):  # torch puts the odd row behind
        behind = [side for total in reversed(totals) for side in (0, total % 2)]
        source = insert_call(
            node.graph, _aten.pad.default, (source, behind), before=node, like=node
        )
    tensors, groups = (source, bound["weight"], bound["bias"]), bound["groups"]
    padding = [total // 2 for total in totals]
    target = _CONVOLUTIONS[len(kernel), False]
    return Spelling(target, (*tensors, bound["stride"], padding, list(dilation), groups))


def _batch_norm(node: fx.Node, bound: _Bound) -> Spelling | str | None:
    if bound.get("training", False) or bound.get("running_mean") is None:
        return "it normalizes by the statistics of the batch"
    tensors = [bound[name] for name in ("input", "weight", "bias", "running_mean", "running_var")]
    momentum = bound.get("momentum", bound.get("exponential_average_factor"))
    epsilon = bound.get("eps", bound.get("epsilon"))
    return Spelling(_aten.batch_norm.default, (*tensors, False, momentum, epsilon, False))


def _instance_norm(node: fx.Node, bound: _Bound) -> Spelling | str | None:
    """In evaluation with stored statistics an instance norm is a batch norm."""
    if bound["use_input_stats"]:
        return None
    tensors = [bound[name] for name in ("input", "weight", "bias", "running_mean", "running_var")]
    return Spelling(
        _aten.batch_norm.default, (*tensors, False, bound["momentum"], bound["eps"], False)
    )


def _respell_addmm(node: fx.Node, bound: _Bound) -> Spelling | str | None:
    bias = bound["self"]
    columns = value_of(bound["mat2"]).shape[1]
    if bound["beta"] != 1 or bound["alpha"] != 1 or tuple(value_of(bias).shape) != (columns,):
        return None
    weight = _insert_transposed(node, bound["mat2"])
    return weight and Spelling(_aten.linear.default, (bound["mat1"], weight, bias))


def _respell_matmul(node: fx.Node, bound: _Bound) -> Spelling | str | None:
    matrix: fx.Node = bound["mat2"] if "mat2" in bound else bound["other"]
    weight = _insert_transposed(node, matrix)
    return weight and Spelling(_aten.linear.default, (bound["self"], weight))


def _insert_transposed(node: fx.Node, matrix: fx.Node) -> fx.Node | None:
    """Return the transpose of a stored matrix, or ``None`` if the graph computes the matrix."""
    if value_of(matrix).ndim != _MATRIX_RANK:
        return None
    if operator_name(matrix) in ("permute", "t", "transpose"):
        stored = arguments(matrix)["self"]
        return stored if stored.op == "get_attr" else None
    if matrix.op != "get_attr":
        return None
    return insert_call(node.graph, _aten.permute.default, (matrix, [1, 0]), before=node, like=node)


def _without_indices(target: OpOverload) -> Rule:
    def rule(node: fx.Node, bound: _Bound) -> Spelling | str | None:
        return Spelling(target, tuple(bound.values()))

    return rule


def _pad(node: fx.Node, bound: _Bound) -> Spelling | str | None:
    if not isinstance(bound["value"], (int, float)):
        return None
    value = float(bound["value"])
    zeros = () if value == 0 else ("constant", value)
    return Spelling(_aten.pad.default, (bound["self"], bound["pad"], *zeros))


def _dropout(node: fx.Node, bound: _Bound) -> Spelling | str | None:
    if bound["train"] is not False:
        return "it drops elements at random"
    return Spelling(_aten.dropout.default, (bound["input"], bound["p"], False))


def _clip(node: fx.Node, bound: _Bound) -> Spelling | str | None:
    """``clip(x, 0)`` and ``clip(x, 0, 6)``, which torch also spells as hardtanh and clamps."""
    low, high = bound.get("min", bound.get("min_val")), bound.get("max", bound.get("max_val"))
    if not isinstance(low, (int, float)) or low != 0 or isinstance(high, fx.Node):
        return None
    if high is None:
        return Spelling(_aten.relu.default, (bound["self"],))
    return Spelling(_aten.relu6.default, (bound["self"],)) if high == 6 else None


_BATCH_NORMS = (
    "_native_batch_norm_legit_no_training",
    "_native_batch_norm_legit",
    "native_batch_norm",
    "_batch_norm_no_update",
    "_batch_norm_impl_index",
    "cudnn_batch_norm",
    "miopen_batch_norm",
)

RULES: dict[str, Rule] = {
    "convolution": _convolution,
    "_convolution": _convolution,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _respell_padding),
    **dict.fromkeys(_BATCH_NORMS, _batch_norm),
    "instance_norm": _instance_norm,
    "addmm": _respell_addmm,
    "mm": _respell_matmul,
    "matmul": _respell_matmul,
    "max_pool2d_with_indices": _without_indices(_aten.max_pool2d.default),
    "max_pool3d_with_indices": _without_indices(_aten.max_pool3d.default),
    "_adaptive_avg_pool2d": _without_indices(_aten.adaptive_avg_pool2d.default),
    "_adaptive_avg_pool3d": _without_indices(_aten.adaptive_avg_pool3d.default),
    "constant_pad_nd": _pad,
    "native_dropout": _dropout,
    **dict.fromkeys(("clamp", "clamp_min", "hardtanh"), _clip),
}
"""By operator name."""
