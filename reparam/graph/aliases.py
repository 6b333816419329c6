"""Which nodes share storage, and which of them are written to in place.

Read from the operators' schemas. Errs towards sharing: ``reshape`` may copy, but counts as a view.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator

from torch import fx
from torch.fx.node import map_arg

from cnn_export.reparam.graph.operators import arguments, operator_name, overload, schema

_SILENT_ALIASES = frozenset(
    {"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"}
    | {"type_as", "broadcast_tensors", "meshgrid", "atleast_1d", "atleast_2d", "atleast_3d"}
)
"""Operators that may return their input although their schema does not say so."""


def storage_groups(graph: fx.Graph) -> dict[fx.Node, set[fx.Node]]:
    """Return, per node, the set of all nodes that may share its storage (itself included)."""
    groups: dict[fx.Node, set[fx.Node]] = {}
    attributes: dict[object, fx.Node] = {}
    for node in graph.nodes:
        groups[node] = {node}
        sources = list(aliased_arguments(node))
        if node.op == "get_attr":
            sources.append(attributes.setdefault(node.target, node))
        for source in sources:
            _merge(groups, node, source)
    return groups


def aliased_arguments(node: fx.Node) -> Iterator[fx.Node]:
    """Yield the arguments whose storage the node's result may be."""
    if node.target is operator.getitem:
        yield from node.all_input_nodes
        return
    op = overload(node)
    if op is None:
        return
    if operator_name(node) in _SILENT_ALIASES:
        yield from node.all_input_nodes
        return
    bound = arguments(node)
    for argument in schema(op).arguments:
        value = bound[argument.name]
        if argument.alias_info is not None and isinstance(value, fx.Node):
            yield value


def written_arguments(node: fx.Node) -> list[fx.Node]:
    """Return the arguments a node writes to, members of lists of tensors included."""
    op = overload(node)
    if op is None or not schema(op).is_mutable:
        return []
    bound = arguments(node)
    written: list[fx.Node] = []
    for argument in schema(op).arguments:
        if argument.is_write:
            map_arg(bound[argument.name], written.append)
    return written


def written_nodes(graph: fx.Graph) -> set[fx.Node]:
    """Return every node whose storage some node of the graph writes to.

    Passes leave such nodes alone: what they hold depends on when they are read.
    """
    writes = [written for node in graph.nodes for written in written_arguments(node)]
    if not writes:
        return set()
    groups = storage_groups(graph)
    return {member for written in writes for member in groups[written]}


def _merge(groups: dict[fx.Node, set[fx.Node]], left: fx.Node, right: fx.Node) -> None:
    """Unite two groups: the smaller joins the larger, so that a chain of views stays cheap."""
    small, large = sorted((groups[left], groups[right]), key=len)
    if small is large:
        return
    large |= small
    for member in small:
        groups[member] = large
