"""Find two linear layers whose channels may be scaled against each other."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import LinearOperator, read_linear_operator
from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    readers,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.scalars import clipped_input
from cnn_export.reparam.passes.equalize.equalization import Clip
from cnn_export.reparam.program_pass import Refusal

_ELEMENTWISE = frozenset({"relu", "leaky_relu", "prelu"})
_SPATIAL = frozenset(
    {"max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "pad"}
    | {"max_pool1d", "avg_pool1d", "constant_pad_nd"}
)
_RESHAPES = frozenset({"flatten", "reshape", "view", "squeeze"})
_BOUNDED = {"sigmoid": 1.0, "hardsigmoid": 1.0, "softmax": 1.0}
"""Operators with results from 0 to this value, besides clips."""


@dataclasses.dataclass(frozen=True)
class LayerPair:
    """``second(f(first(x)))`` with ``f(s·x) = s·f(x)`` for ``s > 0`` per channel.

    With a ``clip``, that holds in those channels only that never reach it.
    """

    first: LinearOperator
    second: LinearOperator
    clip: Clip | None


@dataclasses.dataclass(frozen=True)
class _Value:
    """A tensor on the way between two layers, and the dimension its channels lie in."""

    node: fx.Node
    channel_dim: int
    clip: Clip | None = None


def find_pair(
    graph_module: fx.GraphModule, first: LinearOperator, written: set[fx.Node], tied: set[object]
) -> LayerPair | Refusal | None:
    """Return the pair that begins with ``first``, the reason why not, or ``None`` without a next.

    ``written`` are nodes written to in place, ``tied`` the names of weights that several
    operators read.
    """
    value = _Value(first.node, first.channel_dim)
    while True:
        obstacle = _reading_obstacle(value.node, written)
        if obstacle:
            return Refusal(first.node.name, obstacle)
        (user,) = value.node.users
        second = read_linear_operator(user)
        if second is not None and second.input is value.node:
            break
        if user.op == "output":
            return None
        step = _step(graph_module, value, user)
        if isinstance(step, str):
            return Refusal(first.node.name, step)
        value = step
    reason = _weight_obstacle(graph_module, (first, second), written, tied)
    if reason is None and second.channel_dim != value.channel_dim:
        reason = f"{second.node.name} mixes other dimensions than the channels of it"
    return Refusal(first.node.name, reason) if reason else LayerPair(first, second, value.clip)


def tied_names(graph: fx.Graph) -> set[object]:
    """Return the names of stored tensors that are read more than once."""
    counts: dict[object, int] = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            counts[node.target] = counts.get(node.target, 0) + len(node.users)
    return {name for name, count in counts.items() if count > 1}


def _reading_obstacle(node: fx.Node, written: set[fx.Node]) -> str | None:
    if node in written:
        return f"{node.name} is written to in place"
    return None if len(node.users) == 1 else f"{node.name} is also read: {readers(node)}"


def _step(graph_module: fx.GraphModule, value: _Value, user: fx.Node) -> _Value | str:
    """Follow the value through one operator, or say why a scale does not pass."""
    if not has_tensor(user):
        return f"{user.name} yields no single tensor"
    bound = _bound(user)
    name = operator_name(user)
    clipped = clipped_input(graph_module, user)
    if clipped is not None:
        return _clipped(graph_module, value, user, clipped)
    if name in _ELEMENTWISE and bound.get("self") is value.node:
        return dataclasses.replace(value, node=user)
    if name in _SPATIAL and _keeps_channels(bound, value):
        return dataclasses.replace(value, node=user)
    if name == "mean" and bound.get("dim") is not None:
        return _averaged(value, user, bound)
    if name in _RESHAPES and _drops_ones(value, user):
        return dataclasses.replace(value, node=user)
    return f"{user.name} does not pass on a scale per channel"


def _bound(user: fx.Node) -> dict[str, Any]:
    return arguments(user) if operator_name(user) else {}


def _clipped(
    graph_module: fx.GraphModule,
    value: _Value,
    user: fx.Node,
    clipped: tuple[fx.Node, float, float],
) -> _Value | str:
    _, low, high = clipped
    first = read_linear_operator(value.node)
    bound = None if first is None or first.transposed else _high(graph_module, first.input)
    if low != 0 or high <= 0:
        return f"{user.name} clips at {low:g} and {high:g}"
    if bound is None:
        return f"{user.name} clips at {high:g}, which no bound keeps any channel from reaching"
    return dataclasses.replace(value, node=user, clip=Clip(high, bound))


def _high(graph_module: fx.GraphModule, node: fx.Node) -> float | None:
    """Return the largest value of a tensor whose smallest is not below 0, if its operator says."""
    clipped = clipped_input(graph_module, node)
    if clipped is not None:
        return clipped[2] if clipped[1] == 0 else None
    return _BOUNDED.get(operator_name(node))


def _keeps_channels(bound: dict[str, Any], value: _Value) -> bool:
    """Whether pooling or padding touches only dimensions after the channels."""
    behind = value_of(value.node).ndim - 1 - value.channel_dim
    if "pad" not in bound:
        return behind >= 1
    return len(bound["pad"]) <= 2 * behind and not bound.get("value")


def _averaged(value: _Value, user: fx.Node, bound: dict[str, Any]) -> _Value | str:
    rank = value_of(value.node).ndim
    dims = {dim % rank for dim in bound["dim"]}
    if value.channel_dim in dims:
        return f"{user.name} averages over the channels"
    dropped = 0 if bound["keepdim"] else sum(dim < value.channel_dim for dim in dims)
    return dataclasses.replace(value, node=user, channel_dim=value.channel_dim - dropped)


def _drops_ones(value: _Value, user: fx.Node) -> bool:
    """Whether a reshape only drops or adds sizes of one behind the channels."""
    before, after = value_of(value.node).shape, value_of(user).shape
    kept = value.channel_dim + 1
    sizes = [str(size) for size in before[:kept]], [str(size) for size in after[:kept]]
    rest = static_sizes((*before[kept:], *after[kept:]))
    return sizes[0] == sizes[1] and rest is not None and set(rest) <= {1}


def _weight_obstacle(
    graph_module: fx.GraphModule,
    pair: tuple[LinearOperator, LinearOperator],
    written: set[fx.Node],
    tied: set[object],
) -> str | None:
    for operator in pair:
        for node in (operator.weight, operator.bias):
            if node is None:
                continue
            if constant(graph_module, node) is None:
                return f"the weights of {operator.node.name} are computed in the graph"
            if node in written:
                return f"{node.name} is written to in place"
            if node.target in tied:
                return f"{operator.node.name} shares {node.target} with another operator"
    return None
