"""Whose memory a node shows, and whether every write to it can be followed.

A *storage* is one piece of memory: its base node and all certain views of it. Where an operator
may return a view or a copy (``reshape``), its result is a storage of its own with a *link* to the
one it may share; a value that depends on which of the two happened cannot be known.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable

from torch import fx

from cnn_export.reparam.graph.aliases import aliased_arguments, storage_groups, written_arguments
from cnn_export.reparam.graph.operators import operator_name, overload
from cnn_export.reparam.passes.functionalize.functional_forms import without_functional_form
from cnn_export.reparam.passes.functionalize.overlap import overlapping_source
from cnn_export.reparam.passes.functionalize.views import is_identity, unwritable, viewed
from cnn_export.reparam.program_pass import Refusal

_STRIDED = frozenset({"as_strided", "_reshape_alias"})


@dataclasses.dataclass(eq=False)
class _Link:
    """Memory that may be shared, and how many writes it had seen when both last agreed."""

    storage: _Storage
    epoch: int = 0


@dataclasses.dataclass(eq=False)
class _Storage:
    """``epoch`` counts all writes, also possible ones; ``doubt`` is the last possible one."""

    links: tuple[_Link, ...]
    epoch: int = 0
    writer: fx.Node | None = None
    doubt: fx.Node | None = None


@dataclasses.dataclass(frozen=True)
class WrittenMemory:
    """Memory that is written to, as far as every write and read of it can be followed.

    ``bases`` maps every node that shows such memory to the node that made it, ``parents`` each
    certain view to what it is a view of. What cannot be followed is in ``refusals`` alone.
    """

    bases: dict[fx.Node, fx.Node]
    parents: dict[fx.Node, fx.Node]
    refusals: tuple[Refusal, ...]


def written_memory(graph: fx.Graph) -> WrittenMemory:
    """Follow all writes of a graph in order; takes time linear in its size."""
    group_of = _written_groups(graph)
    bases, parents = _bases(graph, group_of)
    refused = _refused_groups(graph, group_of, bases, parents)
    kept = {node for node, group in group_of.items() if group not in refused}
    return WrittenMemory(
        {node: base for node, base in bases.items() if node in kept},
        {node: parent for node, parent in parents.items() if node in kept},
        tuple(refused.values()),
    )


def _written_groups(graph: fx.Graph) -> dict[fx.Node, int]:
    """Return, per node that may show written memory, the number of its group."""
    written = [each for node in graph.nodes for each in written_arguments(node)]
    if not written:
        return {}
    groups = storage_groups(graph)
    distinct = {id(groups[each]): groups[each] for each in written}
    return {member: number for number, group in enumerate(distinct.values()) for member in group}


def _bases(
    graph: fx.Graph, nodes: Iterable[fx.Node]
) -> tuple[dict[fx.Node, fx.Node], dict[fx.Node, fx.Node]]:
    members = set(nodes)
    bases: dict[fx.Node, fx.Node] = {}
    parents: dict[fx.Node, fx.Node] = {}
    items: dict[object, fx.Node] = {}
    for node in graph.nodes:
        if node not in members:
            continue
        parent = viewed(node)
        if parent is None and _is_own_item(node):
            first = items.setdefault(node.args, node)
            parent = None if first is node else first
        if parent is not None:
            parents[node] = parent = _without_identities(parent, parents)
        bases[node] = node if parent is None else bases[parent]
    return bases, parents


def _without_identities(parent: fx.Node, parents: dict[fx.Node, fx.Node]) -> fx.Node:
    """Return what a view that shows all of its parent shows; so chains of writes stay short."""
    return parents[parent] if parent in parents and is_identity(parent) else parent


def _is_own_item(node: fx.Node) -> bool:
    """Whether the node picks one of several fresh results of an operator."""
    if node.target is not operator.getitem:
        return False
    source = node.all_input_nodes[0]
    return overload(source) is not None and not any(aliased_arguments(source))


def _refused_groups(
    graph: fx.Graph,
    group_of: dict[fx.Node, int],
    bases: dict[fx.Node, fx.Node],
    parents: dict[fx.Node, fx.Node],
) -> dict[int, Refusal]:
    """Walk the graph once in order; return the first obstacle of each group that has one."""
    refused: dict[int, Refusal] = {}
    strided = _strided_members(group_of)
    storages: dict[fx.Node, _Storage] = {}
    for node in graph.nodes:
        for member in node.all_input_nodes:
            if member in group_of and parents.get(node) is not member:
                _add(refused, group_of[member], _ambiguous_read(storages[bases[member]], node))
        if bases.get(node) is node:
            storages[node] = _new_storage(node, storages, bases)
        for member in written_arguments(node):
            _add(refused, group_of[member], _obstacle(node, bases, parents, strided, group_of))
            _note_write(storages[bases[member]], node)
    return refused


def _add(refused: dict[int, Refusal], group: int, refusal: Refusal | None) -> None:
    if refusal is not None:
        refused.setdefault(group, refusal)


def _strided_members(group_of: dict[fx.Node, int]) -> dict[int, fx.Node]:
    return {g: node for node, g in group_of.items() if operator_name(node) in _STRIDED}


def _new_storage(
    node: fx.Node, storages: dict[fx.Node, _Storage], bases: dict[fx.Node, fx.Node]
) -> _Storage:
    if _is_own_item(node):
        return _Storage(())
    linked = {id(s): s for each in aliased_arguments(node) for s in [storages[bases[each]]]}
    return _Storage(tuple(_Link(storage, storage.epoch) for storage in linked.values()))


def _note_write(storage: _Storage, writer: fx.Node) -> None:
    """Count a write; whatever may share the memory comes into doubt, except what was written."""
    storage.epoch += 1
    storage.writer = writer
    for link in storage.links:
        _note_write(link.storage, writer)
        link.storage.doubt = writer
        link.epoch = link.storage.epoch


def _ambiguous_read(storage: _Storage, reader: fx.Node) -> Refusal | None:
    writer = storage.doubt or _unseen_writer(storage)
    if writer is None:
        return None
    return Refusal(
        writer.name, f"it may or may not write to the memory that {reader.name} reads later"
    )


def _unseen_writer(storage: _Storage) -> fx.Node | None:
    """Return a writer to memory that this storage may share, since both last agreed."""
    for link in storage.links:
        if link.epoch != link.storage.epoch:
            return link.storage.writer
        further = _unseen_writer(link.storage)
        if further is not None:
            return further
    return None


def _obstacle(
    writer: fx.Node,
    bases: dict[fx.Node, fx.Node],
    parents: dict[fx.Node, fx.Node],
    strided: dict[int, fx.Node],
    group_of: dict[fx.Node, int],
) -> Refusal | None:
    written = written_arguments(writer)
    reason = without_functional_form(writer)
    state = bases[written[0]]
    if len(written) != 1:
        reason = f"it writes to {len(written)} tensors"
    elif state.op == "get_attr":
        reason = f"it changes the stored tensor {state.target}"
    elif group_of[state] in strided:
        reason = f"{strided[group_of[state]].name} depends on memory strides"
    member = written[0]
    while reason is None and member in parents:
        reason = unwritable(member)
        member = parents[member]
    source = None if reason else overlapping_source(writer, bases, parents)
    if source is not None:
        reason = f"it reads {source.name}, which overlaps what it writes: the result is undefined"
    return Refusal(writer.name, reason) if reason else None
