"""Split concatenations of many tensors into ones that a delegate takes."""

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
from cnn_export.reparam.graph.splice import insert_concatenation
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass

_Pieces = tuple[fx.Node, ...]


class ShortConcatenations(ProgramPass):
    """cat([a, b, c, d, e, f])  ⇒  cat([cat([a, b]), c, d, e, f]).

    *Given* a concatenation of more than ``most`` tensors. *Result* concatenations of at most
    ``most``: of one that begins with the same tensors where there is one, as in every layer of a
    DenseNet, else of the smallest neighbours, so that few values are copied twice. XNNPACK joins
    up to five; TFLite's own kernel takes longer ones, between two partitions.
    """

    def __init__(self, most: int) -> None:
        self.most = most

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such concatenation, in the order of the graph."""
        rewrites: list[str] = []
        written = written_nodes(graph_module.graph)
        earlier: dict[tuple[int, _Pieces], fx.Node] = {}
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "cat" or not has_tensor(node) or node in written:
                continue
            bound = arguments(node)
            dim, pieces = bound["dim"] % value_of(node).ndim, tuple(bound["tensors"])
            shorter = node
            if len(pieces) > self.most and written.isdisjoint(pieces):
                shorter = self._shorten(node, dim, pieces, earlier)
                rewrites.append(node.name)
            earlier[dim, pieces] = shorter
            if shorter is not node:
                replace(node, shorter)
        return PassResult(self.name, tuple(rewrites))

    def _shorten(
        self,
        node: fx.Node,
        dim: int,
        pieces: _Pieces,
        earlier: dict[tuple[int, _Pieces], fx.Node],
    ) -> fx.Node:
        left = list(pieces)
        for count in range(len(pieces) - 1, 1, -1):
            if (beginning := earlier.get((dim, pieces[:count]))) is not None:
                left[:count] = [beginning]
                break
        while len(left) > self.most:
            count = min(self.most, len(left) - self.most + 1)
            first = _smallest(left, dim, count)
            joined = insert_concatenation(left[first : first + count], dim, before=node, like=node)
            left[first : first + count] = [joined]
        return insert_concatenation(left, dim, before=node, like=node)


def _smallest(pieces: list[fx.Node], dim: int, count: int) -> int:
    """Return where the ``count`` neighbours start that are smallest together."""
    sizes = static_sizes([value_of(piece).shape[dim] for piece in pieces])
    if sizes is None:
        return 0
    starts = range(len(pieces) - count + 1)
    return min(starts, key=lambda start: sum(sizes[start : start + count]))
