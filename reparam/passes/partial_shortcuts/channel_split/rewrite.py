"""Let the tensors of regions be carried in parts: weights are sliced now, not images later."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

from torch import fx

from cnn_export.reparam.graph.channel_ranges import ChannelRange, channels, insert_cat
from cnn_export.reparam.passes.partial_shortcuts.channel_split.channelwise import Channelwise, Dense
from cnn_export.reparam.passes.partial_shortcuts.channel_split.part_writer import (
    Span,
    write_channelwise,
    write_dense,
    write_sum,
)
from cnn_export.reparam.passes.partial_shortcuts.channel_split.regions import Kind


def carry(
    graph_module: fx.GraphModule,
    sizes: Mapping[fx.Node, Sequence[int]],
    kinds: Mapping[fx.Node, Kind],
) -> None:
    """Carry every tensor of ``sizes`` in parts of so many channels.

    Operators that take no parts read a concatenation. Nodes that nobody reads any more stay, for
    the caller to remove.
    """
    writer = _Writer(graph_module, sizes, kinds)
    originals = list(graph_module.graph.nodes)
    for node in originals:
        writer.visit(node)
    for node in originals:
        writer.reconnect(node)


class _Writer:
    """Adds the new nodes of each old one right before it."""

    def __init__(
        self,
        graph_module: fx.GraphModule,
        sizes: Mapping[fx.Node, Sequence[int]],
        kinds: Mapping[fx.Node, Kind],
    ) -> None:
        self._graph_module = graph_module
        self._sizes = sizes
        self._kinds = kinds
        self._parts: dict[fx.Node, list[fx.Node]] = {}

    def visit(self, node: fx.Node) -> None:
        """Write the parts of a carried tensor, and the sum that reading one in parts becomes."""
        kind = self._kinds.get(node)
        if isinstance(kind, Dense):
            self._parts[node] = self._write_dense(kind)
        elif node not in self._sizes:
            return
        elif isinstance(kind, ChannelRange):
            self._parts[node] = self._within(kind)
        elif isinstance(kind, Channelwise):
            self._parts[node] = self._write_channelwise(kind)
        elif kind is not None:
            self._parts[node] = [part for operand in kind for part in self._parts[operand]]
        else:
            self._parts[node] = [node]

    def reconnect(self, node: fx.Node) -> None:
        """Let users that were not written anew read the new value."""
        parts = self._parts.get(node, [node])
        users = [user for user in node.users if self._stays(user)]
        if parts != [node] and users:
            whole = insert_cat(parts, before=node, like=node)
            for user in users:
                user.replace_input_with(node, whole)

    def _stays(self, user: fx.Node) -> bool:
        """Whether a user was not written anew."""
        return self._parts.get(user, [user]) == [user]

    def _within(self, wanted: ChannelRange) -> list[fx.Node]:
        parts = self._parts[wanted.source]
        spans = _spans([channels(part) or 0 for part in parts])
        return [
            part
            for part, (start, stop) in zip(parts, spans, strict=True)
            if wanted.start <= start and stop <= wanted.stop
        ]

    def _write_channelwise(self, kind: Channelwise) -> list[fx.Node]:
        operands = [self._parts[operand] for operand in kind.operands]
        if operands == [[operand] for operand in kind.operands]:
            return [kind.node]
        written: list[fx.Node] = []
        for number, span in enumerate(_spans(self._sizes[kind.node])):
            own = {
                operand: parts[number]
                for operand, parts in zip(kind.operands, operands, strict=True)
            }
            written.append(write_channelwise(self._graph_module, kind, own, span))
        return written

    def _write_dense(self, kind: Dense) -> list[fx.Node]:
        inputs = self._parts.get(kind.input, [kind.input])
        rows = _spans(self._sizes.get(kind.node, [channels(kind.node) or 0]))
        if len(inputs) == len(rows) == 1:
            return [kind.node]
        return [self._write_dense_sum(kind, inputs, span) for span in rows]

    def _write_dense_sum(self, kind: Dense, inputs: list[fx.Node], rows: Span) -> fx.Node:
        """Return ``Σᵢ W[rows, columnsᵢ] * xᵢ + b[rows]``."""
        columns = _spans([channels(part) or 0 for part in inputs])
        terms = [
            write_dense(self._graph_module, kind, part, span, rows, with_bias=number == 0)
            for number, (part, span) in enumerate(zip(inputs, columns, strict=True))
        ]
        return functools.reduce(functools.partial(write_sum, at=kind.node), terms)


def _spans(sizes: Sequence[int]) -> list[Span]:
    ends = list(itertools.accumulate(sizes, initial=0))
    return list(itertools.pairwise(ends))
