"""TFLite's spelling of a reshape under a dynamic batch.

flatten / view / reshape of (N, C, 1, 1) to (N, C) or back  ⇒  squeeze, unsqueeze

litert-torch cannot lower a reshape whose batch is symbolic, and XNNPACK does not run the one with
``-1``. Squeezes carry no sizes, so they pass both; any other reshape is refused.
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
        OperatorRefused: a reshape does more than drop or add dimensions of size 1.
    """
    nodes = [n for n in program.graph_module.graph.nodes if n.target in _RESHAPES]
    if not program.dynamic_batch or not nodes:
        return program
    graph = fx.Graph()
    copies: dict[fx.Node, Any] = {}
    graph.output(graph.graph_copy(program.graph_module.graph, copies))
    for node in nodes:
        _replace(graph, node, copies[node])
    return program.with_graph(fx.GraphModule(program.graph_module, graph))


def _replace(graph: fx.Graph, node: fx.Node, copy: fx.Node) -> None:
    source: Any = node.args[0]
    before, after = source.meta["val"].shape, node.meta["val"].shape
    if _without_ones(before) != _without_ones(after):
        raise OperatorRefused(
            f"tflite: {node.target} (node {node.name} at {source_line(node)}) cannot be converted "
            "with a dynamic batch; use --batch N"
        )
    with graph.inserting_before(copy):
        value = graph.call_function(torch.ops.aten.squeeze.dims, (copy.args[0], _ones(before)))
        for axis in _ones(after):
            value = graph.call_function(torch.ops.aten.unsqueeze.default, (value, axis))
    copy.replace_all_uses_with(value)
    graph.erase_node(copy)


def _ones(shape: torch.Size) -> list[int]:
    return [axis for axis, size in enumerate(shape) if axis > 0 and size == 1]


def _without_ones(shape: torch.Size) -> list[Any]:
    return [size for axis, size in enumerate(shape) if axis == 0 or size != 1]
