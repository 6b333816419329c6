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
from cnn_export.program.program import Program
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.diagnosis import source_line
from cnn_export.targets.graph_copy import with_edited_copy

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
    if not program.dynamic_batch or not _reshapes(program.graph_module.graph):
        return program
    return with_edited_copy(program, _replace_all)


def _reshapes(graph: fx.Graph) -> list[fx.Node]:
    return [node for node in graph.nodes if node.target in _RESHAPES]


def _replace_all(module: fx.GraphModule) -> None:
    for node in _reshapes(module.graph):
        _replace(node)


def _replace(node: fx.Node) -> None:
    graph = node.graph
    source: Any = node.args[0]
    before, after = source.meta["val"].shape, node.meta["val"].shape
    if _without_ones(before) != _without_ones(after):
        reason = "it cannot be converted with a dynamic batch; use --batch N"
        refusal = str(OpRefusal(str(node.target), node.name, reason, source_line(node)))
        raise OperatorRefused(refusal, [refusal])
    with graph.inserting_before(node):
        value = graph.call_function(torch.ops.aten.squeeze.dims, (source, _ones(before)))
        for axis in _ones(after):
            value = graph.call_function(torch.ops.aten.unsqueeze.default, (value, axis))
    # The next reshape in a row looks up this one's shape.
    value.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(value)
    graph.erase_node(node)


def _ones(shape: torch.Size) -> list[int]:
    return [axis for axis, size in enumerate(shape) if axis > 0 and size == 1]


def _without_ones(shape: torch.Size) -> list[Any]:
    return [size for axis, size in enumerate(shape) if axis == 0 or size != 1]
