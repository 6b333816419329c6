"""Spell changes of rank as reshapes."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal


class ReshapedRanks(ProgramPass):
    """unsqueeze(x), squeeze(x)  ⇒  reshape(x).

    *Given* a dimension of one that comes or goes. *Result* the reshape that XNNPACK takes for
    ExecuTorch, which has no other way to either (the last dimension's coming apart).
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such change where all sizes are known."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            if operator_name(node) not in ("squeeze", "unsqueeze"):
                continue
            sizes = static_sizes(value_of(node).shape)
            if sizes is None:
                refusals.append(Refusal(node.name, "its sizes are not known"))
            elif not written.isdisjoint((node, *node.all_input_nodes)):
                refusals.append(Refusal(node.name, "its memory is written to in place"))
            else:
                new = Respelling(graph_module, node)
                source = arguments(node)["self"]
                new.give(new.call(torch.ops.aten.reshape.default, source, list(sizes)))
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))
