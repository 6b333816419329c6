"""Let slices and concatenations that undo one another go."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.splice import Range, insert_concatenation, insert_piece, read_slice
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass

MAX_PIECES = 64
"""A concatenation grows to at most this many tensors by taking in others."""


class SimplifySlices(ProgramPass):
    """x[a:b][c:d]  ⇒  x[a+c:a+d],   cat([x, y])[range of y]  ⇒  y,   cat([cat([x, y]), z]).

    *Given* slices with step 1 and concatenations along one dimension: a slice of a slice, a slice
    that lies in one piece of a concatenation, a concatenation read by another only, neighbouring
    slices side by side again. *Result* one slice, the piece, one concatenation, one slice. Slice
    assignments one after the other leave such chains.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Sweep until nothing changes: what loses its last reader may free its neighbours."""
        graph = graph_module.graph
        written = written_nodes(graph)
        rewrites: list[str] = []
        while fired := _sweep(graph, written):
            rewrites += fired
            graph.eliminate_dead_code()
        return PassResult(self.name, tuple(rewrites))


def _sweep(graph: fx.Graph, written: set[fx.Node]) -> list[str]:
    """Simplify in order, so that a chain collapses in one walk."""
    rewrites: list[str] = []
    for node in list(graph.nodes):
        if node in written or not has_tensor(node):
            continue
        name = operator_name(node)
        new = _insert_simpler_slice(node, written) if name == "slice" else None
        new = _insert_simpler_concat(node, written) if name == "cat" else new
        if new is not None:
            replace(node, new)
            rewrites.append(node.name)
    return rewrites


def _insert_simpler_slice(node: fx.Node, written: set[fx.Node]) -> fx.Node | None:
    region = read_slice(node)
    if region is None or region.source in written or region.start == region.end:
        return None
    nearest = region
    while (further := _further_up(nearest)) is not None and further.source not in written:
        nearest = further
    if nearest is region:
        return None
    return insert_piece(
        nearest.source, nearest.dim, nearest.start, nearest.end, before=node, like=node
    )


def _further_up(region: Range) -> Range | None:
    """Return the same range as one of what its source is a slice or a concatenation of."""
    within = read_slice(region.source)
    if within is not None and within.dim == region.dim:
        start, end = within.start + region.start, within.start + region.end
        return Range(within.source, region.dim, start, end)
    return _covering_piece(region)


def _covering_piece(region: Range) -> Range | None:
    """Return the range of the one piece of a concatenation that a slice lies in."""
    offset = 0
    for part in _parts(region.source, region.dim):
        size = static_sizes(value_of(part).shape[region.dim : region.dim + 1])
        if size is None:
            return None
        if offset <= region.start and region.end <= offset + size[0]:
            return Range(part, region.dim, region.start - offset, region.end - offset)
        offset += size[0]
    return None


def _parts(node: fx.Node, dim: int) -> list[fx.Node]:
    """Return the tensors of a concatenation along ``dim``, or nothing."""
    if operator_name(node) != "cat" or not has_tensor(node):
        return []
    bound = arguments(node)
    parts: list[fx.Node] = list(bound["tensors"])
    rank, dtype = value_of(node).ndim, value_of(node).dtype
    # Empty tensors of rank 1 are allowed in a concatenation, and dtypes are promoted.
    plain = all(value_of(part).ndim == rank and value_of(part).dtype == dtype for part in parts)
    return parts if plain and bound["dim"] % rank == dim else []


def _insert_simpler_concat(node: fx.Node, written: set[fx.Node]) -> fx.Node | None:
    dim = arguments(node)["dim"] % value_of(node).ndim
    parts = _parts(node, dim)
    if not parts or any(part in written for part in parts):
        return None
    merged = _merge_neighbours(_flattened(parts, dim, node, written), node)
    if merged == parts:
        return None
    return insert_concatenation(merged, dim, before=node, like=node)


def _flattened(
    parts: list[fx.Node], dim: int, node: fx.Node, written: set[fx.Node]
) -> list[fx.Node]:
    """Put the pieces of inner concatenations in their place, where nobody else reads those."""
    flat: list[fx.Node] = []
    for part in parts:
        inner = _parts(part, dim) if list(part.users) == [node] else []
        whole = part in written or any(each in written for each in inner)
        flat += [part] if whole or not inner else inner
    return flat if len(flat) <= MAX_PIECES else parts


def _merge_neighbours(parts: list[fx.Node], node: fx.Node) -> list[fx.Node]:
    """Make one slice of two that lie side by side in the same tensor."""
    merged: list[fx.Node] = []
    last: Range | None = None
    for part in parts:
        region = read_slice(part)
        if last is not None and region is not None and _continues(last, region, node):
            last = Range(last.source, last.dim, last.start, region.end)
            merged[-1] = insert_piece(
                last.source, last.dim, last.start, last.end, before=node, like=node
            )
        else:
            last = region
            merged.append(part)
    return merged


def _continues(left: Range, right: Range, node: fx.Node) -> bool:
    dim = arguments(node)["dim"] % value_of(node).ndim
    same = left.source is right.source and left.dim == right.dim == dim
    return same and left.end == right.start
