"""One spelling for operators that decomposed programs (``.pt2`` files) spell in core ATen."""

from __future__ import annotations

import operator

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, readers, same_tensor_type
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.passes.canonical.core_spellings import RULES, Spelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal


class CanonicalOperators(ProgramPass):
    """convolution(x, w, …)  ⇒  conv2d(x, w, …),   _native_batch_norm…(x, …)[0]  ⇒  batch_norm.

    *Given* ``convolution``, the batch normalizations that return statistics too, ``addmm``, ``mm``
    and ``matmul`` with a stored matrix, max pools that return indices nobody reads,
    ``constant_pad_nd``, ``native_dropout``, clips from 0 up or to 6 under other names, and
    convolutions that pad by name ("same", "valid"). *Result* the operators that a trace of the
    network holds, the only ones that the other passes know.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such operator where it stands; what it makes is new memory as before."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            rule = RULES.get(operator_name(node))
            spelling = rule(node, arguments(node)) if rule else None
            if spelling is None:
                continue
            reason = spelling if isinstance(spelling, str) else _respell(node, spelling)
            if reason:
                refusals.append(Refusal(node.name, reason))
            else:
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _respell(node: fx.Node, spelling: Spelling) -> str | None:
    """Put the other spelling in the node's place, or return why its result is not the same."""
    value = node.meta["val"]
    is_tuple = not isinstance(value, torch.Tensor)
    if is_tuple and not all(_is_first_item(user) or not user.users for user in node.users):
        return f"its further results are read: {readers(node)}"
    new = insert_call(node.graph, spelling.target, spelling.args, before=node, like=node)
    if not same_tensor_type(new.meta["val"], value[0] if is_tuple else value):
        node.graph.erase_node(new)
        return f"{spelling.target} gives another shape or dtype"
    for old in [*node.users, node] if is_tuple else [node]:
        replace(old, new)
    return None


def _is_first_item(user: fx.Node) -> bool:
    return user.target is operator.getitem and bool(user.args[1] == 0)
