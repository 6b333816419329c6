"""One spelling for every change of shape that keeps the elements' order."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_VIEWS = (torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default)


class CanonicalReshape(ProgramPass):
    """view(x, s)  ⇒  reshape(x, s).

    *Given* a view, which demands suitable strides of its input. *Result* a reshape, which does
    not; so that copies made only for the strides can be removed.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every view of memory that is never written to."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in graph_module.graph.nodes:
            if node.target not in _VIEWS:
                continue
            if node in written:
                refusals.append(Refusal(node.name, "its memory is written to in place"))
            else:
                node.target = torch.ops.aten.reshape.default
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))
