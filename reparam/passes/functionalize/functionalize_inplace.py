"""Spell in-place operators functionally, so that a value never changes after it was computed."""

from __future__ import annotations

import dataclasses

from torch import fx

from cnn_export.reparam.graph.aliases import written_arguments
from cnn_export.reparam.passes.functionalize.functional_forms import insert_functional_value
from cnn_export.reparam.passes.functionalize.views import insert_view, is_same_node, write_back
from cnn_export.reparam.passes.functionalize.written_memory import WrittenMemory, written_memory
from cnn_export.reparam.program_pass import PassResult, ProgramPass


class FunctionalizeInplace(ProgramPass):
    """relu_(x)  ⇒  relu(x),    y[:, :k] += x  ⇒  y' = cat([y[:, :k] + x, y[:, k:]], 1).

    *Given* memory whose every write goes to the whole tensor or through slices, selections,
    reshapes and permutations of it. *Result* a new value of the whole tensor after each write;
    views read after a write are views of the new value. Refused, for the whole of the memory
    concerned, are writes to stored tensors, through views of repeated elements, of values read from
    an overlapping part of the memory (undefined), and where it depends on strides whether a later
    reader would see the write (``reshape`` may copy).

    Writing to an *input* becomes functional as well: an artifact has no caller's tensor to change.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Walk the graph once, carrying the current value of all memory written to."""
        graph = graph_module.graph
        memory = written_memory(graph)
        state = _State(memory)
        writers: dict[fx.Node, None] = {}
        for node in list(graph.nodes) if memory.bases else ():
            written = [each for each in written_arguments(node) if each in memory.bases]
            _read_current(node, memory, state)
            if written:
                state.write(node, written[0])
                writers[node] = None
        for node in reversed(graph.nodes):
            if node in writers or (node in memory.parents and not node.users):
                graph.erase_node(node)
        names = tuple(writer.name for writer in writers)
        return PassResult(self.name, names, memory.refusals)


def _read_current(node: fx.Node, memory: WrittenMemory, state: _State) -> None:
    """Let a node read what its arguments hold now. A view reads nothing: its readers do."""
    viewed = memory.parents.get(node) if not written_arguments(node) else None
    base = memory.bases.get(node) if viewed is not None else None
    for member in node.all_input_nodes:
        if member not in memory.bases or (base is not None and memory.bases[member] is base):
            continue
        value = state.current(member, node)
        if value is not member:
            node.replace_input_with(member, value)


@dataclasses.dataclass(frozen=True)
class _Value:
    """A node holding what some memory or view held after ``writes`` writes to its memory."""

    node: fx.Node
    writes: int


class _State:
    """What every piece of written memory, and every view of it, holds at one point of the graph."""

    def __init__(self, memory: WrittenMemory) -> None:
        self._memory = memory
        self._writes = dict.fromkeys(memory.bases.values(), 0)
        self._values: dict[fx.Node, _Value] = {}

    def current(self, member: fx.Node, before: fx.Node) -> fx.Node:
        """Return a node with the member's value at ``before``; a view is read again if need be."""
        writes = self._writes[self._memory.bases[member]]
        known = self._values.get(member)
        if known is not None and known.writes == writes:
            return known.node
        parent = self._memory.parents.get(member)
        if parent is None:
            # The base itself is noted with each write: here there was none yet.
            return member
        value = self.current(parent, before)
        if not is_same_node(member):
            value = member if value is parent else insert_view(member, value, before)
        self._values[member] = _Value(value, writes)
        return value

    def write(self, writer: fx.Node, member: fx.Node) -> None:
        """Note what the writer leaves in ``member``, which it writes to, and in all around it."""
        value = insert_functional_value(writer)
        around = [(member, value)]
        while (parent := self._memory.parents.get(member)) is not None:
            whole = self.current(parent, writer)
            value = write_back(member, whole, value, writer)
            around.append((parent, value))
            member = parent
        self._writes[member] += 1
        for each, new in around:
            self._values[each] = _Value(new, self._writes[member])
