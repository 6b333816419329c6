"""Give arithmetic on floats numbers that are floats."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.operators import arguments, has_tensor, operator_name, value_of
from cnn_export.reparam.program_pass import PassResult, ProgramPass

_ARITHMETIC = ("add", "sub", "rsub", "mul", "div")


class FloatNumbers(ProgramPass):
    """x + 1  ⇒  x + 1.0.

    *Given* a sum, difference, product or quotient of floats and a whole number. *Result* the same
    number as a float. ExecuTorch stores the other as an integer, and converts it by a kernel call
    per inference, outside the delegate.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such number."""
        rewrites: list[str] = []
        for node in graph_module.graph.nodes:
            if operator_name(node) not in _ARITHMETIC or not has_tensor(node):
                continue
            if type(arguments(node)["other"]) is int and value_of(node).is_floating_point():
                node.args = (node.args[0], float(arguments(node)["other"]), *node.args[2:])
                node.kwargs = {key: each for key, each in node.kwargs.items() if key != "other"}
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites))
