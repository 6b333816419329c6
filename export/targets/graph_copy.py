"""Edit a copy of a program's graph: how every *target form* leaves other formats alone."""

from __future__ import annotations

from collections.abc import Callable

from torch import fx

from cnn_export.program.program import Program


def with_edited_copy(program: Program, edit: Callable[[fx.GraphModule], None]) -> Program:
    """Return the program over a copy of its graph that ``edit`` changed in place.

    The copy has its own nodes, with all their ``meta``, and shares the weights; what ``edit``
    leaves unused is removed.
    """
    graph = fx.Graph()
    graph.output(graph.graph_copy(program.graph_module.graph, {}))
    module = fx.GraphModule(program.graph_module, graph)
    edit(module)
    graph.eliminate_dead_code()
    module.recompile()
    return program.with_graph(module)
