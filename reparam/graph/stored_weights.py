"""Give operators new weights; calls of one layer that get equal ones share them."""

from __future__ import annotations

import dataclasses

import torch
from torch import fx

from cnn_export.reparam.graph.linear_operators import LinearOperator, with_weights
from cnn_export.reparam.graph.surgery import insert_constant, insert_reader


@dataclasses.dataclass(frozen=True)
class _Stored:
    """Weights that were stored, and the nodes that read them first."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    nodes: tuple[fx.Node, fx.Node | None]

    def holds(self, weight: torch.Tensor, bias: torch.Tensor | None) -> bool:
        same_bias = bias is self.bias or (
            bias is not None and self.bias is not None and torch.equal(bias, self.bias)
        )
        return same_bias and torch.equal(weight, self.weight)


class StoredWeights:
    """The weights one run of a pass has stored, by the layer they come from.

    A layer that is called twice is two operators with one weight. If both change alike, the file
    must not hold the result twice.
    """

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._graph_module = graph_module
        self._stored: dict[str, list[_Stored]] = {}

    def give(
        self, operator: LinearOperator, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> None:
        """Let ``operator`` read these weights instead of its own, which stay as they are."""
        source = str(operator.weight.target)
        known = self._stored.setdefault(source, [])
        for each in known:
            if each.holds(weight, bias):
                first, second = each.nodes
                at = operator.node
                nodes = (
                    insert_reader(first, before=at),
                    None if second is None else insert_reader(second, before=at),
                )
                break
        else:
            nodes = self._insert(operator, weight, bias)
            known.append(_Stored(weight, bias, nodes))
        with_weights(operator, *nodes)

    def _insert(
        self, operator: LinearOperator, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> tuple[fx.Node, fx.Node | None]:
        stem = str(operator.weight.target).removesuffix("weight").rstrip("._")
        stem, at = stem.removesuffix("_folded"), operator.node
        new = insert_constant(
            self._graph_module, f"{stem}_folded_weight", weight, before=at, like=at
        )
        if bias is None:
            return new, None
        return new, insert_constant(
            self._graph_module, f"{stem}_folded_bias", bias, before=at, like=at
        )
