"""Compute at export time what depends on stored tensors only."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import has_tensor, overload, schema, static_sizes, value_of
from cnn_export.reparam.graph.surgery import insert_constant, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

SMALL_BYTES = 65_536
"""A result up to this size may be stored even if it is larger than what it was computed from."""


class FoldConstants(ProgramPass):
    """f(w)  ⇒  w' = f(w).

    *Given* operators that read stored tensors and numbers only, are deterministic and write
    nothing, up to the values that other operators read. *Result* those values, stored; unless
    that would make the file larger by more than ``small_bytes`` (an expanded scalar, a grid).
    Then what such a value is computed from is stored instead: an expanded border remains an
    ``expand``, of a border that is known.
    """

    def __init__(self, small_bytes: int = SMALL_BYTES) -> None:
        self._small_bytes = small_bytes

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Store the last value of every constant subgraph."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        foldable = _constant_calls(graph_module.graph)
        pending = [node for node in reversed(foldable) if _is_read_by_others(node, foldable)]
        seen = set(pending)
        while pending:
            node = pending.pop()
            size = _bytes(value_of(node))
            if size > max(self._small_bytes, foldable[node]):
                reason = f"its {size} bytes come from only {foldable[node]} stored bytes"
                refusals.append(Refusal(node.name, reason))
                inner = [each for each in node.all_input_nodes if each in foldable]
                pending += [each for each in reversed(inner) if each not in seen]
                seen.update(inner)
                continue
            value = _evaluate(graph_module, node)
            new = insert_constant(graph_module, node.name, value, before=node, like=node)
            replace(node, new)
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _constant_calls(graph: fx.Graph) -> dict[fx.Node, int]:
    """Return every call on constants only, with the bytes of stored tensors it depends on."""
    written = written_nodes(graph)
    stored: dict[fx.Node, frozenset[fx.Node]] = {}
    for node in graph.nodes:
        if node in written or not has_tensor(node):
            continue
        if node.op == "get_attr":
            stored[node] = frozenset({node})
        elif _is_pure_call(node) and all(each in stored for each in node.all_input_nodes):
            stored[node] = frozenset[fx.Node]().union(*(stored[i] for i in node.all_input_nodes))
    return {
        node: sum(_bytes(value_of(each)) for each in sources)
        for node, sources in stored.items()
        if node.op == "call_function"
    }


def _is_pure_call(node: fx.Node) -> bool:
    op = overload(node)
    return (
        op is not None
        and not schema(op).is_mutable
        and torch.Tag.nondeterministic_seeded not in op.tags
        and static_sizes(value_of(node).shape) is not None
    )


def _is_read_by_others(node: fx.Node, foldable: dict[fx.Node, int]) -> bool:
    return any(user not in foldable for user in node.users)


def _evaluate(graph_module: fx.GraphModule, node: fx.Node) -> torch.Tensor:
    """Return the value of a call on constants; depth is that of the constant subgraph."""
    stored = constant(graph_module, node)
    if stored is not None:
        return stored

    def value_at(argument: fx.Node) -> torch.Tensor:
        return _evaluate(graph_module, argument)

    args: Any = map_arg(node.args, value_at)
    kwargs: Any = map_arg(node.kwargs, value_at)
    target: Any = node.target
    with torch.no_grad():
        value: torch.Tensor = target(*args, **kwargs)
    return value.contiguous().clone()


def _bytes(value: torch.Tensor) -> int:
    return value.numel() * value.element_size()
