"""Find the operators that could take over a map per channel of what they read."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import LinearOperator, read_linear_operator
from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.passes.affine.batch_norm import (
    Affine,
    response_to_shift,
    scale_input_channels,
)
from cnn_export.reparam.passes.affine.channel_affine import CHANNEL_DIM
from cnn_export.reparam.passes.affine.commuting import Commuting, read_commuting


@dataclasses.dataclass(frozen=True)
class Absorber:
    """A linear operator behind a value, and what passes on the way to its sum.

    ``commuting.shift`` is false also where the operator itself pads zeros.
    """

    operator: LinearOperator
    weight: torch.Tensor
    bias: torch.Tensor | None
    commuting: Commuting

    def with_scale(self, scale: torch.Tensor) -> torch.Tensor:
        """Return the weights that undo the removal of ``scale``, float64."""
        spread = scale.repeat_interleave(self.commuting.repeat)
        operator = self.operator
        return scale_input_channels(
            self.weight, spread, groups=operator.groups, transposed=operator.transposed
        )

    def with_shift(self, affine: Affine) -> torch.Tensor | None:
        """Return the bias that undoes the removal of the shift, float64; ``None`` for none."""
        if not bool(affine.shift.any()):
            return None if self.bias is None else self.bias.double()
        spread = affine.shift.repeat_interleave(self.commuting.repeat)
        answer = response_to_shift(self.weight, spread, groups=self.operator.groups)
        return answer if self.bias is None else answer + self.bias.double()


@dataclasses.dataclass(frozen=True)
class Blocked:
    """A reader that cannot take the map over. ``near`` tells that another reader could."""

    reason: str
    near: bool


def find_absorbers(
    graph_module: fx.GraphModule,
    start: fx.Node,
    written: set[fx.Node],
    channel_dim: int = CHANNEL_DIM,
) -> tuple[Absorber, ...] | Blocked:
    """Follow every reader of ``start`` to the linear operator it ends in, or say who is none.

    ``channel_dim`` is where the channels lie; only along dimension 1 other operators are crossed.
    """
    absorbers: list[Absorber] = []
    reasons: list[str] = []
    open_ends = [(start, Commuting())]
    while open_ends:
        node, commuting = open_ends.pop()
        for user in node.users:
            step = _step(graph_module, user, node, written, channel_dim)
            if isinstance(step, str):
                reasons.append(step)
            elif isinstance(step, Commuting):
                open_ends.append((user, _joined(commuting, step)))
            else:
                absorbers.append(
                    dataclasses.replace(step, commuting=_joined(commuting, step.commuting))
                )
    if reasons or not absorbers:
        return Blocked(reasons[0] if reasons else "nothing reads it", near=bool(absorbers))
    return tuple(absorbers)


def _step(
    graph_module: fx.GraphModule,
    user: fx.Node,
    source: fx.Node,
    written: set[fx.Node],
    channel_dim: int,
) -> Absorber | Commuting | str:
    changed = next((each for each in (user, *user.all_input_nodes) if each in written), None)
    if changed is not None:
        return f"{changed.name} is written to in place"
    operator = read_linear_operator(user)
    if operator is not None:
        return _absorber(graph_module, operator, source, channel_dim)
    crossed = read_commuting(user, source) if channel_dim == CHANNEL_DIM else None
    return crossed or f"{user.name} reads it and is no convolution"


def _absorber(
    graph_module: fx.GraphModule, operator: LinearOperator, source: fx.Node, channel_dim: int
) -> Absorber | str:
    weight, bias = (constant(graph_module, each) for each in (operator.weight, operator.bias))
    name = operator.node.name
    if operator.input is not source or weight is None or (operator.bias and bias is None):
        return f"the weights of {name} are computed in the graph"
    if operator.channel_dim != channel_dim:
        return f"the channels of {name} lie in another dimension"
    return Absorber(operator, weight, bias, Commuting(shift=_takes_shift(operator)))


def _takes_shift(operator: LinearOperator) -> bool:
    """Whether every output sums over the whole kernel: no zeros from outside, no gaps."""
    if operator_name(operator.node) == "linear":
        return True
    return not operator.transposed and not _pads(arguments(operator.node)["padding"], operator)


def _pads(padding: Any, operator: LinearOperator) -> bool:
    if padding == "valid":
        return False
    if padding == "same":
        return any(size > 1 for size in value_of(operator.weight).shape[2:])
    return any(padding) if isinstance(padding, (list, tuple)) else bool(padding)


def _joined(first: Commuting, second: Commuting) -> Commuting:
    return Commuting(
        shift=first.shift and second.shift,
        positive=first.positive or second.positive,
        rectifies=first.rectifies or second.rectifies,
        repeat=first.repeat * second.repeat,
    )
