"""The operators that are linear in their input with stored weights, read into one shape."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, value_of

CONVOLUTIONS = {"conv1d": 1, "conv2d": 2, "conv3d": 3}
"""Operator → number of spatial dimensions; weights (out, in/groups, *kernel)."""

TRANSPOSED_CONVOLUTIONS = {"conv_transpose1d": 1, "conv_transpose2d": 2, "conv_transpose3d": 3}
"""Operator → number of spatial dimensions; weights (in, out/groups, *kernel)."""

_MATRIX = 2


@dataclasses.dataclass(frozen=True)
class LinearOperator:
    """One convolution, transposed convolution or fully connected layer of a graph.

    ``channel_dim`` is the dimension of the output that ``bias`` runs along, counted from 0.
    """

    node: fx.Node
    input: fx.Node
    weight: fx.Node
    bias: fx.Node | None
    groups: int
    transposed: bool
    channel_dim: int


def read_linear_operator(node: fx.Node) -> LinearOperator | None:
    """Return what the node computes, or ``None`` if it is not such an operator."""
    name = operator_name(node)
    spatial = CONVOLUTIONS.get(name, TRANSPOSED_CONVOLUTIONS.get(name))
    if spatial is None and name != "linear":
        return None
    bound = arguments(node)
    if value_of(bound["weight"]).ndim < _MATRIX:
        return None  # a product with one vector: its result has no channels
    rank = value_of(node).ndim
    return LinearOperator(
        node=node,
        input=bound["input"],
        weight=bound["weight"],
        bias=bound["bias"],
        groups=bound.get("groups", 1),
        transposed=name in TRANSPOSED_CONVOLUTIONS,
        channel_dim=rank - 1 if spatial is None else rank - spatial - 1,
    )


def with_weights(operator: LinearOperator, weight: fx.Node, bias: fx.Node | None) -> None:
    """Let the operator read other weights of the same shapes; all else stays."""
    args: list[Any] = list(operator.node.args)
    kwargs = {k: v for k, v in operator.node.kwargs.items() if k not in ("weight", "bias")}
    args[1:3] = [weight, bias]
    operator.node.args, operator.node.kwargs = tuple(args), kwargs
