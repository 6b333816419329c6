"""Spell reading and assigning at stored indices as slices and concatenations."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of
from cnn_export.reparam.graph.splice import insert_concatenation, insert_piece, splice
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

MAX_RANGES = 8
"""More ranges than this are a permutation; one gather is cheaper than that many slices."""

Run = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class _Indexed:
    """``source`` at ``indices`` (none negative) along ``dim``; the ranges they form, in order."""

    source: fx.Node
    dim: int
    indices: tuple[int, ...]

    @property
    def runs(self) -> list[Run]:
        """Return start and end of each range of consecutive indices."""
        runs: list[Run] = []
        for index in self.indices:
            if runs and runs[-1][1] == index:
                runs[-1] = (runs[-1][0], index + 1)
            else:
                runs.append((index, index + 1))
        return runs


class IndicesToSlices(ProgramPass):
    """x[:, [0, 1, 4]]  ⇒  cat([x[:, 0:2], x[:, 4:5]], 1),   index_put likewise.

    *Given* ``index``, ``index_select`` or ``index_put`` with one stored vector of integers, along a
    dimension of known size, that make up a few ranges. *Result* those ranges: no runtime delegates
    gathers and scatters.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such operator."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            if operator_name(node) not in ("index", "index_select", "index_put"):
                continue
            indexed = _read(graph_module, node)
            reason = "it takes no one stored vector of indices"
            reason = _obstacle(node, indexed, written) if indexed else reason
            if indexed is None or reason:
                refusals.append(Refusal(node.name, str(reason)))
                continue
            assigns = operator_name(node) == "index_put"
            replace(
                node, _insert_assigned(node, indexed) if assigns else _insert_taken(node, indexed)
            )
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _read(graph_module: fx.GraphModule, node: fx.Node) -> _Indexed | None:
    bound = arguments(node)
    source: fx.Node = bound["self"]
    if operator_name(node) == "index_select":
        dim, index = bound["dim"] % max(value_of(source).ndim, 1), bound["index"]
    else:
        given = [(dim, each) for dim, each in enumerate(bound["indices"]) if each is not None]
        if len(given) != 1:
            return None
        ((dim, index),) = given
    stored = constant(graph_module, index)
    size = static_sizes(value_of(source).shape[dim : dim + 1])
    integers = stored is not None and stored.dtype in (torch.int64, torch.int32)
    if stored is None or not integers or stored.ndim != 1 or not size:
        return None
    return _Indexed(source, dim, tuple(int(each) % size[0] for each in stored))


def _obstacle(node: fx.Node, indexed: _Indexed, written: set[fx.Node]) -> str | None:
    changed = [each for each in (node, *node.all_input_nodes) if each in written]
    if changed:
        return f"{changed[0].name} is written to in place"
    count = len(indexed.runs)
    if not 0 < count <= MAX_RANGES:
        return f"its {len(indexed.indices)} indices form {count} ranges"
    if operator_name(node) != "index_put":
        return None
    bound = arguments(node)
    if bound["accumulate"] or len(set(indexed.indices)) != len(indexed.indices):
        return "it assigns to an index more than once"
    if _assigned_shape(indexed) is None:
        return "the shape it assigns to is not known"
    if value_of(bound["values"]).dtype != value_of(indexed.source).dtype:
        return f"{bound['values'].name} has another dtype than {indexed.source.name}"
    return None


def _assigned_shape(indexed: _Indexed) -> tuple[int, ...] | None:
    shape: list[Any] = list(value_of(indexed.source).shape)
    shape[indexed.dim] = len(indexed.indices)
    return static_sizes(shape)


def _insert_taken(node: fx.Node, indexed: _Indexed) -> fx.Node:
    ranges = [
        insert_piece(indexed.source, indexed.dim, *run, before=node, like=node)
        for run in indexed.runs
    ]
    return insert_concatenation(ranges, indexed.dim, before=node, like=node)


def _insert_assigned(node: fx.Node, indexed: _Indexed) -> fx.Node:
    """Splice the values in range by range."""
    values: fx.Node = arguments(node)["values"]
    shape = _assigned_shape(indexed)
    if shape is not None and static_sizes(value_of(values).shape) != shape:
        expand = torch.ops.aten.expand.default
        values = insert_call(node.graph, expand, (values, list(shape)), before=node, like=node)
    whole, offset = indexed.source, 0
    for start, end in indexed.runs:
        part = insert_piece(
            values, indexed.dim, offset, offset + end - start, before=node, like=node
        )
        whole = splice(whole, part, indexed.dim, start, end, 1, before=node, like=node)
        offset += end - start
    return whole
