"""Which operators of a graph compute in integers, and which tensors share a scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set

from torch import fx

from cnn_export.quantization.insertion.clips import read_clip
from cnn_export.quantization.scheme.placement.operators import (
    IntegerOperator,
    carried_inputs,
    is_float32,
    read_integer_operator,
)
from cnn_export.reparam.graph.aliases import written_nodes


@dataclasses.dataclass(frozen=True)
class Placement:
    """What is integer in a graph.

    ``groups`` are the integer tensors, those that share a scale together, each in graph order.
    ``kept_float`` tells why every other operator is not.
    """

    operators: tuple[IntegerOperator, ...]
    groups: tuple[tuple[fx.Node, ...], ...]
    kept_float: dict[str, str]


def place(
    graph_module: fx.GraphModule, refused: Mapping[str, str], unfused: Set[str] = frozenset()
) -> Placement:
    """Make everything integer that can be, but for the ``refused`` nodes (name → reason).

    An operator takes and gives integers. What only moves values is integer between such tensors:
    it takes and gives the same scale, which is exact. The clip behind an ``unfused`` operator is
    such a mover too, instead of the operator's own.
    """
    reasons = dict(refused)
    written = written_nodes(graph_module.graph)
    operators: list[IntegerOperator] = []
    carriers: dict[fx.Node, tuple[fx.Node, ...]] = {}
    for node in graph_module.graph.nodes:
        if node.op != "call_function":
            continue
        carried = carried_inputs(graph_module, node)
        if carried is not None and written.isdisjoint((node, *carried)):
            carriers[node] = carried
            continue
        found = refused.get(node.name) or _readable(graph_module, node, written)
        if isinstance(found, IntegerOperator):
            operators.append(_split(found) if node.name in unfused else found)
        elif node.name not in reasons and is_float32(node):
            reasons[node.name] = found
    fused = {each.output for each in operators} - {each.node for each in operators}
    free = {node: sources for node, sources in carriers.items() if node not in fused}
    clips = {node for node in free if read_clip(graph_module, node) is not None}
    tensors, moved = _integer_tensors(operators, free, clips)
    for node in free.keys() - moved:
        reasons[node.name] = "what stands around it is float"
    groups = _groups(graph_module, tensors, {node: free[node] for node in moved})
    ordered = {n.name: reasons[n.name] for n in graph_module.graph.nodes if n.name in reasons}
    return Placement(tuple(operators), groups, ordered)


def _readable(
    graph_module: fx.GraphModule, node: fx.Node, written: Set[fx.Node]
) -> IntegerOperator | str:
    """Read an operator, unless what it touches changes later: a rounded copy would not."""
    found = read_integer_operator(graph_module, node)
    if isinstance(found, IntegerOperator) and not written.isdisjoint((*found.inputs, node)):
        return "its memory is written to in place"
    return found


def _split(operator: IntegerOperator) -> IntegerOperator:
    return dataclasses.replace(operator, output=operator.node, clip=None)


def _integer_tensors(
    operators: list[IntegerOperator],
    carriers: Mapping[fx.Node, tuple[fx.Node, ...]],
    clips: Set[fx.Node],
) -> tuple[set[fx.Node], set[fx.Node]]:
    """Return the integer tensors, and the carriers between them.

    A carrier is integer where its result is wanted as integers, or where nothing but integers go
    in; for a clip only the latter counts, since behind floats it costs nothing. Both hold for more
    tensors with every carrier that is, so it is asked until nothing moves.
    """
    wanted = {each for operator in operators for each in operator.inputs}
    made = {operator.output for operator in operators}
    moved: set[fx.Node] = set()
    changed = True
    while changed:
        changed = False
        for sweep in (carriers, reversed(list(carriers))):
            for node in sweep:
                if node in moved:
                    continue
                pulled = node in wanted and node not in clips
                if pulled or all(source in made for source in carriers[node]):
                    moved.add(node)
                    made.add(node)
                    wanted.update(carriers[node])
                    changed = True
    return wanted | made, moved


def _groups(
    graph_module: fx.GraphModule,
    tensors: set[fx.Node],
    carriers: Mapping[fx.Node, tuple[fx.Node, ...]],
) -> tuple[tuple[fx.Node, ...], ...]:
    """Join what every carrier takes and gives (union-find with halved paths)."""
    parent = {node: node for node in tensors}

    def root(node: fx.Node) -> fx.Node:
        while parent[node] is not node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for node, sources in carriers.items():
        for source in sources:
            parent[root(source)] = root(node)
    members: dict[fx.Node, list[fx.Node]] = {}
    for node in graph_module.graph.nodes:
        if node in tensors:
            members.setdefault(root(node), []).append(node)
    return tuple(tuple(each) for each in members.values())
