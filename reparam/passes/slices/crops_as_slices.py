"""Spell padding by negative widths as the slices that it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of
from cnn_export.reparam.graph.splice import insert_piece
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_CONSTANT = "constant"


class CropsAsSlices(ProgramPass):
    """pad(x, [-a, b])  ⇒  pad(x[a:], [0, b]).

    *Given* padding with a constant whose widths are negative on some sides, of a map of known
    size. *Result* slices, and a pad where something is left to add: ExecuTorch and Core ML take no
    negative widths, and passes read slices.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such pad."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            if node in written or not _crops(node):
                continue
            cropped = _insert_crop(node, arguments(node))
            if isinstance(cropped, str):
                refusals.append(Refusal(node.name, cropped))
            else:
                replace(node, cropped)
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _crops(node: fx.Node) -> bool:
    if operator_name(node) not in ("pad", "constant_pad_nd"):
        return False
    widths = arguments(node)["pad"]
    return any(isinstance(width, int) and width < 0 for width in widths)


def _insert_crop(node: fx.Node, bound: dict[str, Any]) -> fx.Node | str:
    cropped: fx.Node = bound["self"]
    if bound.get("mode", _CONSTANT) != _CONSTANT:
        return f"it crops one side and continues another ({bound['mode']})"
    shape, widths = value_of(cropped).shape, static_sizes(bound["pad"])
    padded = [len(shape) - 1 - number for number in range(len(bound["pad"]) // 2)]
    sizes = static_sizes([shape[dim] for dim in padded])
    if widths is None or sizes is None:
        return "the size of its input is not known"
    for dim, size, before, after in zip(padded, sizes, widths[::2], widths[1::2], strict=True):
        start, end = max(-before, 0), size - max(-after, 0)
        cropped = insert_piece(cropped, dim, start, end, before=node, like=node)
    left = [max(width, 0) for width in widths]
    if not any(left):
        return cropped
    args = (cropped, left, _CONSTANT, bound["value"])
    return insert_call(node.graph, torch.ops.aten.pad.default, args, before=node, like=node)
