"""TFLite's spelling of a reshape under a dynamic batch.

flatten / view / reshape of (N, C, 1, 1) to (N, C)  ⇒  squeeze of the dimensions of size 1

litert-torch cannot lower a reshape whose batch is symbolic, and XNNPACK does not run the one with
``-1``. A squeeze carries no sizes, so it passes both; any other reshape is refused.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.errors import OperatorRefused
from cnn_export.program import Program
from cnn_export.targets.diagnosis import source_line

_RESHAPES = {
    torch.ops.aten.flatten.using_ints,
    torch.ops.aten.view.default,
    torch.ops.aten.reshape.default,
}


def spelled_out(program: Program) -> Program:
    """Return the program without reshapes, if its batch is dynamic; else unchanged.

    Raises:
        OperatorRefused: a reshape does more than drop dimensions of size 1.
    """
    nodes = [n for n in program.graph_module.graph.nodes if n.target in _RESHAPES]
    if not program.dynamic_batch or not nodes:
        return program
    graph = fx.Graph()
    copies: dict[fx.Node, Any] = {}
    graph.output(graph.graph_copy(program.graph_module.graph, copies))
    for node in nodes:
        _replace(graph, copies[node], _dropped(node))
    return program.with_graph(fx.GraphModule(program.graph_module, graph))


def _dropped(node: fx.Node) -> list[int]:
    """Return the dimensions of size 1 that the reshape drops."""
    source: Any = node.args[0]
    before, after = source.meta["val"].shape, node.meta["val"].shape
    ones = [axis for axis, size in enumerate(before) if axis > 0 and size == 1]
    kept = [size for axis, size in enumerate(before) if axis not in ones]
    if len(kept) != len(after) or list(kept[1:]) != list(after[1:]):
        raise OperatorRefused(
            f"tflite: {node.target} (node {node.name} at {source_line(node)}) cannot be converted "
            "with a dynamic batch; use --batch N"
        )
    return ones


def _replace(graph: fx.Graph, node: fx.Node, axes: list[int]) -> None:
    with graph.inserting_before(node):
        squeezed = graph.call_function(torch.ops.aten.squeeze.dims, (node.args[0], axes))
    node.replace_all_uses_with(squeezed)
    graph.erase_node(node)
