"""Put borders that continue an image together from rows and columns of it."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.graph.splice import insert_concatenation, insert_piece
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.passes.legalize.geometry.resizes_as_products import (
    insert_products,
    product_obstacle,
)
from cnn_export.reparam.passes.legalize.geometry.separable import axis_map, image_read_by
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_Range = tuple[int, int]
_Step = tuple[int, list[_Range], list[_Range]]
_ROWS, _COLUMNS = 2, 3


class BordersAsPieces(ProgramPass):
    """pad(x, w, mode)  ⇒  cat([rows of x, x, rows of x]), then columns alike.

    *Given* an image padded by its reflection, its nearest rows or its other end, or cropped.
    *Result* slices and concatenations, which XNNPACK takes; it has padding by a constant alone.
    Neighbouring rows are one slice; what is cropped is cut first. What is more than ``most`` pieces
    is joined in front first and behind last, with the columns in between: converters join again
    what is joined twice along one axis. A border of more pieces than that, a wide reflection,
    becomes products with two matrices of zeros and ones.
    """

    def __init__(
        self, most: int, modes: tuple[str, ...] = ("reflect", "replicate", "circular")
    ) -> None:
        self._most, self._modes = most, modes

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such pad."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            source = image_read_by(node) if self._is_wanted(node) else None
            if source is None or node in written or source in written:
                continue
            if isinstance(source, str):
                refusals.append(Refusal(node.name, source))
                continue
            maps = [axis_map(node, axis) for axis in (0, 1)]
            ranges = [_ranges(matrix.argmax(1).tolist()) for matrix in maps]
            wholes = [max(pieces, key=lambda piece: piece[1] - piece[0]) for pieces in ranges]
            steps = self._steps(ranges, wholes)
            if steps is not None:
                replace(node, _insert_pieces(node, _insert_crop(node, source, wholes), steps))
            elif (obstacle := product_obstacle(graph_module, node)) is not None:
                refusals.append(Refusal(node.name, f"its border has many pieces: {obstacle}"))
                continue
            else:
                replace(node, insert_products(graph_module, node, source, maps))
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))

    def _is_wanted(self, node: fx.Node) -> bool:
        return operator_name(node) == "pad" and arguments(node)["mode"] in self._modes

    def _steps(self, ranges: list[list[_Range]], wholes: list[_Range]) -> list[_Step] | None:
        """Return what to join along which dimension, in front and behind; ``None``: too much.

        ``wholes`` are what the image is cropped to first; pieces are counted in that.
        """
        sides: list[_Step] = []
        for dim, pieces, whole in zip((_ROWS, _COLUMNS), ranges, wholes, strict=True):
            if any(start < whole[0] or end > whole[1] for start, end in pieces):
                return None
            place = pieces.index(whole)
            own = [(start - whole[0], end - whole[0]) for start, end in pieces]
            sides.append((dim, own[:place], own[place + 1 :]))
        if max(map(len, ranges)) <= self._most:
            return sides
        front: list[_Step] = [(dim, before, []) for dim, before, _ in sides]
        behind: list[_Step] = [(dim, [], _shifted(after, before)) for dim, before, after in sides]
        joined = [*front, *behind]
        most = max(len(before) + len(after) + 1 for _, before, after in joined)
        return joined if most <= self._most else None


def _ranges(positions: list[int]) -> list[_Range]:
    """Return the positions as ranges of neighbours."""
    ranges: list[_Range] = []
    for position in positions:
        if ranges and ranges[-1][1] == position:
            ranges[-1] = (ranges[-1][0], position + 1)
        else:
            ranges.append((position, position + 1))
    return ranges


def _shifted(ranges: list[_Range], before: list[_Range]) -> list[_Range]:
    shift = sum(end - start for start, end in before)
    return [(start + shift, end + shift) for start, end in ranges]


def _insert_crop(node: fx.Node, source: fx.Node, wholes: list[_Range]) -> fx.Node:
    value = source
    for dim, whole in zip((_ROWS, _COLUMNS), wholes, strict=True):
        if whole != (0, int(value_of(source).shape[dim])):
            value = insert_piece(value, dim, *whole, before=node, like=node)
    return value


def _insert_pieces(node: fx.Node, source: fx.Node, steps: list[_Step]) -> fx.Node:
    value = source
    for dim, before, after in steps:
        pieces = {
            each: insert_piece(value, dim, *each, before=node, like=node)
            for each in dict.fromkeys([*before, *after])
        }
        joined = [*(pieces[each] for each in before), value, *(pieces[each] for each in after)]
        value = insert_concatenation(joined, dim, before=node, like=node)
    return value
