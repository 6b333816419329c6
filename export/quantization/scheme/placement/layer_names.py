"""Names by which people know the operators of a graph."""

from __future__ import annotations

from torch import fx

from cnn_export.errors import UsageError, nearest
from cnn_export.reparam.graph.linear_operators import read_linear_operator
from cnn_export.reparam.graph.operators import operator_name

_NAMED = frozenset({"add", "mul"})


def layer_names(graph_module: fx.GraphModule) -> dict[str, str]:
    """Return node name by shown name, for every layer, sum and product, in graph order.

    A layer is called as its module is (``features.3.conv.0``), a sum or product after the module
    it stands in (``features.3/add``), both after their node where that is not known. What would be
    called alike is told apart by ``:2``, ``:3``, …
    """
    names: dict[str, str] = {}
    for node in graph_module.graph.nodes:
        is_layer = read_linear_operator(node) is not None
        if not is_layer and operator_name(node) not in _NAMED:
            continue
        path = _module_path(node)
        stem = path if is_layer else path and f"{path}/{operator_name(node)}"
        names[_distinct(stem or node.name, names)] = node.name
    return names


def nodes_called(graph_module: fx.GraphModule, names: frozenset[str]) -> dict[str, str]:
    """Return shown name by node name for the given names; a node's own name is taken as well.

    Raises:
        UsageError: there is no such layer; names the nearest.
    """
    known = layer_names(graph_module)
    own = {node: shown for shown, node in known.items()}
    found: dict[str, str] = {}
    for name in sorted(names):
        node = known.get(name, name)
        if node not in own:
            raise UsageError(
                f"no layer of this network is called {name!r}.{nearest(name, known)} "
                "--explain lists them"
            )
        found[node] = own[node]
    return found


def _module_path(node: fx.Node) -> str:
    """Return the dotted path of the innermost module that the node was called in, or nothing."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    return str(paths[-1]) if paths else ""


def _distinct(name: str, taken: dict[str, str]) -> str:
    if name not in taken:
        return name
    count = 2
    while f"{name}:{count}" in taken:
        count += 1
    return f"{name}:{count}"
