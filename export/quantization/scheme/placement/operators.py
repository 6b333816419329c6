"""Operators that runtimes compute in integers, and those that only move or select values."""

from __future__ import annotations

import dataclasses

import torch
from torch import fx

from cnn_export.quantization.insertion.clips import Bounds, read_clip
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import (
    CONVOLUTIONS,
    TRANSPOSED_CONVOLUTIONS,
    LinearOperator,
    read_linear_operator,
)
from cnn_export.reparam.graph.operators import arguments, has_tensor, operator_name, value_of

_MAP_RANK = 4

_CARRIERS = frozenset(
    {"max_pool2d", "slice", "select", "cat", "stack", "reshape", "view", "_unsafe_view"}
    | {"flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "expand", "repeat"}
    | {"channel_shuffle", "pixel_shuffle", "pixel_unshuffle", "upsample_nearest2d"}
    | {"clone", "contiguous", "alias", "dropout", "flip", "roll"}
)
"""Every element of the result is one of the inputs': exact on integers of one scale."""

_PADS = frozenset({"pad", "constant_pad_nd"})

_WHY_FLOAT = {
    "hardswish": "runtimes round its integer form differently",
    "hardsigmoid": "runtimes round its integer form differently",
    "mean": "runtimes round integer averages differently",
}


@dataclasses.dataclass(frozen=True)
class IntegerOperator:
    """A layer, sum or product in integers; ``output`` is its fused clip's node where it has one."""

    node: fx.Node
    inputs: tuple[fx.Node, ...]
    output: fx.Node
    layer: LinearOperator | None = None
    clip: Bounds | None = None


def read_integer_operator(graph_module: fx.GraphModule, node: fx.Node) -> IntegerOperator | str:
    """Return the operator, or why it stays float.

    Convolutions over two dimensions and linear layers with stored weights, sums and products of
    two tensors; with the clip behind them that alone reads the result.
    """
    layer = read_linear_operator(node)
    if layer is not None:
        reason = _layer_obstacle(graph_module, layer)
        inputs = (layer.input,)
    elif operator_name(node) in ("add", "mul"):
        bound = arguments(node)
        inputs = (bound["self"], bound["other"])
        reason = _arithmetic_obstacle(inputs, bound.get("alpha", 1))
    else:
        name = operator_name(node) or node.name
        return _WHY_FLOAT.get(name, f"{name} has no form in integers here")
    if reason is None and not all(map(is_float32, (node, *inputs))):
        reason = "its tensors are not float32"
    if reason is not None:
        return reason
    return _with_clip(graph_module, IntegerOperator(node, inputs, node, layer))


def carried_inputs(graph_module: fx.GraphModule, node: fx.Node) -> tuple[fx.Node, ...] | None:
    """Return the tensors whose elements the result consists of, else ``None``.

    Zeros may stand beside them, which every scale holds, and a clip may bound them.
    """
    name = operator_name(node)
    clip = read_clip(graph_module, node)
    if not (name in _CARRIERS or (name in _PADS and _pads_plainly(node)) or clip is not None):
        return None
    if clip is not None and not clip[1].low <= 0 <= clip[1].high:
        return None
    sources = tuple(node.all_input_nodes)
    known = all(is_float32(each) and each.op != "get_attr" for each in (node, *sources))
    return sources if sources and known else None


def is_float32(node: object) -> bool:
    """Whether a node yields one float32 tensor."""
    return isinstance(node, fx.Node) and has_tensor(node) and value_of(node).dtype == torch.float32


def _layer_obstacle(graph_module: fx.GraphModule, layer: LinearOperator) -> str | None:
    name = operator_name(layer.node)
    if name in TRANSPOSED_CONVOLUTIONS:
        return "ONNX Runtime has no transposed convolution in integers"
    if name in CONVOLUTIONS and (name != "conv2d" or value_of(layer.input).ndim != _MAP_RANK):
        return f"{name} has no form in integers here; only batches of two-dimensional maps have"
    for node in (layer.weight, layer.bias):
        if node is not None and constant(graph_module, node) is None:
            return "its weights are computed in the graph"
    return None


def _arithmetic_obstacle(inputs: tuple[object, ...], alpha: object) -> str | None:
    if alpha != 1:
        return f"it scales a summand by {alpha}"
    if not all(isinstance(each, fx.Node) for each in inputs):
        return "one side is a number"
    if any(isinstance(each, fx.Node) and each.op == "get_attr" for each in inputs):
        return "one side is stored, and one scale for all of it would be coarse"
    return None


def _with_clip(graph_module: fx.GraphModule, operator: IntegerOperator) -> IntegerOperator:
    """Take in the clip behind the operator, if nothing else reads it and 0 stays 0."""
    users = list(operator.node.users)
    clip = read_clip(graph_module, users[0]) if len(users) == 1 else None
    if clip is None or not clip[1].low <= 0 <= clip[1].high or not is_float32(users[0]):
        return operator
    return dataclasses.replace(operator, output=users[0], clip=clip[1])


def _pads_plainly(node: fx.Node) -> bool:
    bound = arguments(node)
    mode = bound.get("mode", "constant")
    return mode != "constant" or not bound["value"]
