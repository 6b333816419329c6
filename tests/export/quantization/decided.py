"""A network, its graph as int8 takes it, and a decision on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import fx, nn

from cnn_export.program.program import capture
from cnn_export.quantization.decision import Decision
from cnn_export.quantization.scheme.decide import decide
from cnn_export.quantization.scheme.observation.observe import observe
from cnn_export.quantization.scheme.observation.statistics import Statistics
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.reparam import reparameterize_graph


@dataclasses.dataclass(frozen=True)
class Decided:
    graph_module: fx.GraphModule
    statistics: Statistics
    decision: Decision

    def node(self, name: str) -> fx.Node:
        (found,) = (node for node in self.graph_module.graph.nodes if node.name == name)
        return found

    def again(self, **options: object) -> Decision:
        return decide(self.graph_module, self.statistics, SchemeOptions(**options))


def decided(
    module: nn.Module,
    batches: Sequence[Sequence[torch.Tensor]],
    *,
    reparameterized: bool = True,
    **options: object,
) -> Decided:
    """Capture, reparameterize, observe ``batches`` and decide."""
    graph_module = capture(module.eval(), batches[0]).graph_module
    if reparameterized:
        reparameterize_graph(graph_module)
    statistics = observe(graph_module, lambda: batches)
    decision = decide(graph_module, statistics, SchemeOptions(**options))
    return Decided(graph_module, statistics, decision)
