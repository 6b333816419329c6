"""Spell a border of per-channel constants with the one pad that every runtime has: zeros."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import operator_name, overload, value_of
from cnn_export.reparam.graph.surgery import insert_call, insert_constant, replace
from cnn_export.reparam.passes.affine.channel_affine import read_channel_affine
from cnn_export.reparam.passes.borders.border import Border, read_border
from cnn_export.reparam.passes.borders.tiling import read_tiling
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten

LARGEST_VALUE = 8.0
"""Beyond it ``(x - v) + v`` would cost too many digits of ``x`` in float32, let alone float16; the
proof, in float64, would not see it. A batch norm's shift is a few units."""

_ROUNDING = 1e-12
"""Relative difference of two ways to compute a batch norm's value at 0 in float64."""


class ConstantBorder(ProgramPass):
    """[v v v; v x v; v v v]  ⇒  pad(x - v, p) + v    with v of shape (1, C, 1, 1).

    [v v v; v f(x) v; v v v]  ⇒  f(pad(x, p))    where v = f(0), for a batch norm f

    *Given* concatenations (what slice assignments have become) of a whole map and one constant
    per channel on some of its sides. *Result* a pad with zeros between two affine maps, which
    fold into the convolutions around it; without them where ``v`` is 0, and before the affine map
    that makes ``v`` of 0. A large ``v`` (a border of minus infinity) is refused: see
    :data:`LARGEST_VALUE`. Source: the border of Diverse Branch Block (arXiv 2103.13425).
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such map, the outermost first: those inside are then unread."""
        graph = graph_module.graph
        concatenations = [node for node in graph.nodes if operator_name(node) == "cat"]
        if not concatenations:
            return PassResult(self.name)
        tiles = read_tiling(graph_module)
        written = written_nodes(graph)
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in reversed(concatenations):
            border = read_border(node, tiles[node]) if node in tiles and node.users else None
            if border is None or node in written or border.source in written:
                continue
            bordered = _insert_bordered(graph_module, node, border)
            if bordered is None:
                worst = float(border.value.abs().max())
                reason = f"its border of {worst:.3g} would cost the map inside its digits"
                refusals.append(Refusal(node.name, reason))
                continue
            replace(node, bordered)
            rewrites.append(node.name)
        return PassResult(self.name, tuple(reversed(rewrites)), tuple(refusals))


def _insert_bordered(graph_module: fx.GraphModule, node: fx.Node, border: Border) -> fx.Node | None:
    """Return the map and its border, built anew in the node's place; ``None`` if inexact."""
    before = read_channel_affine(graph_module, border.source)
    if before is not None and _agree(before.affine.shift, border.value):
        padded = _insert_padded(node, before.input, border)
        args = tuple(padded if each is before.input else each for each in before.node.args)
        target = overload(before.node)
        if target is not None and padded in args and not before.node.kwargs:
            return insert_call(node.graph, target, args, before=node, like=node)
    if not bool(border.value.any()):
        return _insert_padded(node, border.source, border)
    if not bool((border.value.abs() <= LARGEST_VALUE).all()):
        return None
    shifted = _insert_sum(graph_module, node, border.source, -border.value)
    return _insert_sum(graph_module, node, _insert_padded(node, shifted, border), border.value)


def _agree(left: torch.Tensor, right: torch.Tensor) -> bool:
    return torch.allclose(left, right, rtol=_ROUNDING, atol=0.0)


def _insert_padded(node: fx.Node, source: fx.Node, border: Border) -> fx.Node:
    args = (source, list(border.pads))
    return insert_call(node.graph, _aten.pad.default, args, before=node, like=node)


def _insert_sum(
    graph_module: fx.GraphModule, node: fx.Node, source: fx.Node, value: torch.Tensor
) -> fx.Node:
    tensor = value.reshape(1, -1, 1, 1).to(value_of(node).dtype)
    stored = insert_constant(graph_module, "border", tensor, before=node, like=node)
    return insert_call(node.graph, _aten.add.Tensor, (source, stored), before=node, like=node)
