"""Regions of one mode (``autocast``, ``no_grad``), put back among the operators around them.

``torch.export`` keeps such a region as a graph of its own, which no target knows. Neither mode is
for an artifact: there are no gradients, and ``autocast`` rounds to half precision for the sake of
another device. The float64 network that every artifact is compared with does not round either.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx.node import map_arg

from cnn_export.errors import InputRefused
from cnn_export.program.source_lines import source_line

_GRAPH_AT = {"wrap_with_autocast": 4, "wrap_with_set_grad_enabled": 1}
"""Which argument is the region's graph; those behind it are what the region reads."""


def inline_regions(graph_module: fx.GraphModule) -> None:
    """Put the operators of every region into the graph itself.

    Raises:
        InputRefused: the network converts to half precision itself where ``autocast`` does.
    """
    if _inline(graph_module):
        _describe_anew(graph_module.graph)


def _inline(graph_module: fx.GraphModule) -> bool:
    """Return whether a region rounds, so that what is behind it has another dtype now."""
    rounds = False
    for node in list(graph_module.graph.nodes):
        position = _GRAPH_AT.get(getattr(node.target, "__name__", ""))
        if node.op != "call_function" or position is None:
            continue
        held: Any = node.args[position]
        region: Any = graph_module.get_submodule(held.target)
        rounds |= _rounds(node) | _inline(region)
        _splice(node, region.graph, node.args[position + 1 :])
        if not held.users:
            graph_module.graph.erase_node(held)
    return rounds


def _rounds(node: fx.Node) -> bool:
    """Whether it is an ``autocast`` that is on, and of the device that networks are traced on."""
    device, _, enabled = (*node.args, None, None)[:3]
    return device == "cpu" and enabled is True


def _splice(node: fx.Node, region: fx.Graph, given: tuple[Any, ...]) -> None:
    graph = node.graph
    inputs = dict(zip(region.find_nodes(op="placeholder"), given, strict=True))
    with graph.inserting_before(node):
        results: Any = graph.graph_copy(region, inputs)
    for user in list(node.users):  # each takes one result
        user.replace_all_uses_with(results[user.args[1]])
        graph.erase_node(user)
    graph.erase_node(node)


def _describe_anew(graph: fx.Graph) -> None:
    """Give every node the dtype that it has without ``autocast``."""
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            graph.erase_node(node)
            continue
        try:
            node.meta["val"] = _value(node)
        except Exception as error:
            line = source_line(node)
            raise InputRefused(
                f"{node.target}{f' at {line}' if line else ''} mixes precisions outside of "
                "autocast, which an artifact has none of: convert all operands, or none"
            ) from error


def _value(node: fx.Node) -> Any:
    def described(argument: fx.Node) -> Any:
        return argument.meta["val"]

    args: Any = map_arg(node.args, described)
    kwargs: Any = map_arg(node.kwargs, described)
    modes = (
        each.meta["val"].fake_mode
        for each in node.graph.nodes
        if isinstance(each.meta.get("val"), FakeTensor)
    )
    target: Any = node.target
    with torch.no_grad(), next(modes), enable_python_dispatcher():
        return target(*args, **kwargs)
