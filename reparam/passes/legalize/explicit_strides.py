"""Write out the stride of a pool that has none."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name
from cnn_export.reparam.program_pass import PassResult, ProgramPass

_POOLS = ("max_pool1d", "max_pool2d", "max_pool3d")
_WRITTEN = ("kernel_size", "stride")


class ExplicitStrides(ProgramPass):
    """max_pool2d(x, k)  ⇒  max_pool2d(x, k, k).

    *Given* a max pool whose stride is left to its default, which is the window. *Result* the same
    with the stride as an argument: coremltools and ExecuTorch read it without looking whether it
    is there. Of average pools both know the default.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Write every such stride; the node keeps its name."""
        rewrites: list[str] = []
        for node in graph_module.graph.nodes:
            if operator_name(node) not in _POOLS or arguments(node)["stride"]:
                continue
            kernel = arguments(node)["kernel_size"]
            node.args = (node.args[0], kernel, kernel, *node.args[3:])
            node.kwargs = {name: v for name, v in node.kwargs.items() if name not in _WRITTEN}
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites))
