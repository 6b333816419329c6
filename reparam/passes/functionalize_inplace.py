"""Spell in-place operators functionally, so that a value never changes after it was computed."""

from __future__ import annotations

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.reparam.aliases import aliased_arguments, storage_groups, written_arguments
from cnn_export.reparam.operators import operator_name, overload, same_tensor_type, schema, value_of
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal
from cnn_export.reparam.surgery import insert_call, replace

Groups = dict[fx.Node, set[fx.Node]]


class FunctionalizeInplace(ProgramPass):
    """relu_(x)  ⇒  relu(x).

    *Given* an in-place operator on a value whose storage nobody reads afterwards except through
    the operator's result or the very node it wrote to. *Result* its functional form; later
    readers of the written node read the result. Writing through a view of a value that is read
    later (a slice assignment) and writing to parameters or buffers is refused.

    Writing to an *input* becomes functional as well: an artifact has no caller's tensor to change.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Sweep until no operator can be changed: each change frees storage of later ones."""
        rewrites: list[str] = []
        while True:
            fired, refusals = _sweep(graph_module.graph)
            rewrites += fired
            if not fired:
                return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _sweep(graph: fx.Graph) -> tuple[list[str], list[Refusal]]:
    fired: list[str] = []
    refusals: list[Refusal] = []
    writers = [node for node in graph.nodes if written_arguments(node)]
    groups = storage_groups(graph) if writers else {}
    for node in writers:
        reason = _obstacle(node, groups) or _make_functional(node, groups)
        if reason:
            refusals.append(Refusal(node.name, reason))
        else:
            fired.append(node.name)
    return fired, refusals


def _obstacle(node: fx.Node, groups: Groups) -> str | None:
    written = written_arguments(node)
    if len(written) != 1:
        return f"it writes to {len(written)} tensors"
    group = groups[written[0]]
    state = next((member for member in group if member.op == "get_attr"), None)
    if state is not None:
        return f"it changes the stored tensor {state.target}"
    stale = _stale_readers(node, written[0], group)
    if stale:
        return f"it writes to memory of {stale[0].name}, which {stale[1].name} reads later"
    return None


def _stale_readers(
    node: fx.Node, written: fx.Node, group: set[fx.Node]
) -> tuple[fx.Node, fx.Node] | None:
    """Return a (value, later reader) that would miss the write, were it functional."""
    order = {each: position for position, each in enumerate(node.graph.nodes)}
    fresh = {node}
    for member in sorted(group, key=order.__getitem__):
        sources = set(aliased_arguments(member))
        if order[member] > order[node] and (sources & fresh or written in sources):
            fresh.add(member)
    for member in sorted(group - fresh - {written}, key=order.__getitem__):
        for user in member.users:
            if order[user] > order[node]:
                return member, user
    return None


def _make_functional(node: fx.Node, groups: Groups) -> str | None:
    """Replace the node; return a reason instead if there is no equal functional operator."""
    target = _functional_overload(node)
    if target is None:
        return f"{operator_name(node)} has no functional form that keeps shape and dtype"
    new = insert_call(node.graph, target, node.args, dict(node.kwargs), before=node, like=node)
    if not same_tensor_type(value_of(new), value_of(node)):
        node.graph.erase_node(new)
        return f"{operator_name(node)} has no functional form that keeps shape and dtype"
    _redirect_later_readers(node, new)
    groups[node].add(new)
    groups[node].discard(node)
    groups[new] = groups.pop(node)
    replace(node, new)
    return None


def _functional_overload(node: fx.Node) -> OpOverload | None:
    """Return ``aten.relu.default`` for ``aten.relu_.default``; ``copy_`` is left to slices."""
    op = overload(node)
    name = operator_name(node)
    if op is None or name == "copy_":
        return None
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    functional: OpOverload | None = getattr(packet, schema(op).overload_name or "default", None)
    if functional is None or schema(functional).is_mutable:
        return None
    known = {argument.name for argument in schema(functional).arguments}
    same_types = [str(argument.type) for argument in schema(functional).arguments] == [
        str(argument.type) for argument in schema(op).arguments
    ]
    return functional if same_types and node.kwargs.keys() <= known else None


def _redirect_later_readers(node: fx.Node, new: fx.Node) -> None:
    order = {each: position for position, each in enumerate(node.graph.nodes)}
    for written in written_arguments(node):
        for user in list(written.users):
            if order[user] > order[node]:
                user.replace_input_with(written, new)
