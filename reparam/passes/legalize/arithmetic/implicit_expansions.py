"""Leave it to arithmetic to repeat a value over a map."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    same_size,
    value_of,
)
from cnn_export.reparam.program_pass import PassResult, ProgramPass

_EXPANSIONS = ("expand", "expand_as")
_ARITHMETIC = ("add", "sub", "mul", "div", "maximum", "minimum")


class ImplicitExpansions(ProgramPass):
    """x / expand(y)  ⇒  x / y.

    *Given* a value that is repeated for a sum, product or quotient with a map of the whole shape.
    *Result* the same without the copies, which XNNPACK has no operator for: each ends a partition.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Let every such reader read what is repeated."""
        rewrites: list[str] = []
        written = written_nodes(graph_module.graph)
        for node in graph_module.graph.nodes:
            if operator_name(node) not in _EXPANSIONS or not written.isdisjoint(
                (node, *node.all_input_nodes)
            ):
                continue
            readers = [user for user in node.users if _repeats(user, node)]
            for user in readers:
                user.replace_input_with(node, arguments(node)["self"])
            if readers:
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites))


def _repeats(user: fx.Node, node: fx.Node) -> bool:
    """Whether an operator has a side of the full shape besides this one, and of as many sizes."""
    if operator_name(user) not in _ARITHMETIC:
        return False
    bound = arguments(user)
    sides = [bound["self"], bound["other"]]
    others = [each for each in sides if each is not node and has_tensor(each)]
    if len(others) != 1:
        return False
    wanted, given = value_of(node).shape, value_of(others[0]).shape
    return len(wanted) == len(given) and all(map(same_size, wanted, given))
