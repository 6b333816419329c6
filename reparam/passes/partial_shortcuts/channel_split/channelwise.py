"""Which operators keep channels apart: those can run on every part of a split by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.channel_ranges import CHANNEL_DIM, channels
from cnn_export.reparam.graph.linear_operators import CONVOLUTIONS
from cnn_export.reparam.graph.operators import arguments, has_tensor, operator_name, value_of

_ELEMENTWISE = frozenset(
    {"relu", "relu6", "hardtanh", "clamp", "clamp_min", "clamp_max", "hardswish", "hardsigmoid"}
    | {"sigmoid", "silu", "mish", "tanh", "gelu", "elu", "selu", "celu", "leaky_relu", "softplus"}
    | {"add", "sub", "rsub", "mul", "div", "maximum", "minimum", "neg", "abs", "sqrt", "square"}
)
_SPATIAL = frozenset(
    {"max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "pad", "constant_pad_nd"}
    | {"upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d"}
)
_STATISTICS = ("weight", "bias", "running_mean", "running_var")


@dataclasses.dataclass(frozen=True)
class Channelwise:
    """A node whose channel ``c`` depends on channel ``c`` of its ``operands`` alone.

    ``stored`` maps ``get_attr`` nodes that hold one value, or one kernel, per channel to the
    dimension of their channels. A ``depthwise`` convolution has as many groups as channels.
    """

    node: fx.Node
    operands: tuple[fx.Node, ...]
    stored: Mapping[fx.Node, int] = dataclasses.field(default_factory=dict)
    depthwise: bool = False


@dataclasses.dataclass(frozen=True)
class Dense:
    """An ungrouped convolution with stored weights (out, in, *kernel) and bias (out,)."""

    node: fx.Node
    input: fx.Node
    weight: torch.Tensor
    bias: torch.Tensor | None


def read_channelwise(graph_module: fx.GraphModule, node: fx.Node) -> Channelwise | None:
    """Return what the node computes channel by channel, or ``None``."""
    name = operator_name(node)
    if not name or not channels(node):
        return None
    if name in _ELEMENTWISE:
        return _elementwise(graph_module, node)
    if name in _SPATIAL or name == "mean":
        return _spatial(node, name)
    if name == "batch_norm":
        return _batch_norm(graph_module, node)
    if name == "prelu":
        return _prelu(graph_module, node)
    return _depthwise(graph_module, node) if name in CONVOLUTIONS else None


def read_dense(graph_module: fx.GraphModule, node: fx.Node) -> Dense | None:
    """Return the ungrouped convolution of a batch that the node is, or ``None``."""
    bound = _convolution(graph_module, node)
    if bound is None or bound["groups"] != 1:
        return None
    weight = constant(graph_module, bound["weight"])
    bias = constant(graph_module, bound["bias"])
    return None if weight is None else Dense(node, bound["input"], weight, bias)


def _elementwise(graph_module: fx.GraphModule, node: fx.Node) -> Channelwise | None:
    rank, size = value_of(node).ndim, channels(node)
    operands: list[fx.Node] = []
    stored: dict[fx.Node, int] = {}
    for each in node.all_input_nodes:
        tensor = constant(graph_module, each)
        dim = -1 if tensor is None else tensor.ndim - (rank - CHANNEL_DIM)
        if tensor is None:
            if not _is_like(each, rank, size):
                return None
            operands += [each] if channels(each) == size else []
        elif dim >= 0 and tensor.shape[dim] != 1:
            stored[each] = dim
    return Channelwise(node, tuple(operands), stored) if operands else None


def _is_like(operand: fx.Node, rank: int, size: int | None) -> bool:
    """Whether the operand has all channels, or one that stands for all."""
    if not has_tensor(operand) or value_of(operand).ndim != rank:
        return False
    return channels(operand) in (1, size)


def _spatial(node: fx.Node, name: str) -> Channelwise | None:
    bound = arguments(node)
    source: fx.Node = next(iter(bound.values()))
    rank = value_of(source).ndim
    if name == "mean":
        dims = [dim % rank for dim in bound.get("dim") or (CHANNEL_DIM,)]
        kept = bound.get("keepdim", False) and CHANNEL_DIM not in dims
    elif name in ("pad", "constant_pad_nd"):
        first = 2 * (rank - 1 - CHANNEL_DIM)
        kept = not any(bound["pad"][first : first + 2])
    else:
        kept = rank == value_of(node).ndim and node.all_input_nodes == [source]
    return Channelwise(node, (source,)) if kept and channels(source) == channels(node) else None


def _batch_norm(graph_module: fx.GraphModule, node: fx.Node) -> Channelwise | None:
    bound = arguments(node)
    given = [bound[name] for name in _STATISTICS if bound[name] is not None]
    unknown = any(constant(graph_module, each) is None for each in given)
    if bound["training"] or bound["running_mean"] is None or unknown:
        return None
    return Channelwise(node, (bound["input"],), dict.fromkeys(given, 0))


def _prelu(graph_module: fx.GraphModule, node: fx.Node) -> Channelwise | None:
    bound = arguments(node)
    slopes = constant(graph_module, bound["weight"])
    if slopes is None:
        return None
    stored = {bound["weight"]: 0} if slopes.numel() > 1 else {}
    return Channelwise(node, (bound["self"],), stored)


def _depthwise(graph_module: fx.GraphModule, node: fx.Node) -> Channelwise | None:
    bound = _convolution(graph_module, node)
    if bound is None or not bound["groups"] == channels(bound["input"]) == channels(node):
        return None
    stored = [bound[name] for name in ("weight", "bias") if bound[name] is not None]
    return Channelwise(node, (bound["input"],), dict.fromkeys(stored, 0), depthwise=True)


def _convolution(graph_module: fx.GraphModule, node: fx.Node) -> dict[str, Any] | None:
    """Return the arguments of a convolution of a batch with stored weights, or ``None``."""
    spatial = CONVOLUTIONS.get(operator_name(node))
    if spatial is None or value_of(node).ndim != spatial + 2:
        return None
    bound = arguments(node)
    given = [bound[name] for name in ("weight", "bias") if bound[name] is not None]
    unknown = any(constant(graph_module, each) is None for each in given)
    return None if unknown or channels(bound["input"]) is None else bound
