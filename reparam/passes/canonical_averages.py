"""Spell averages the way delegates take them."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.operators import arguments, expand_list, operator_name, value_of
from cnn_export.reparam.program_pass import PassResult, ProgramPass
from cnn_export.reparam.surgery import insert_call, replace

_aten = torch.ops.aten
_IMAGE_RANK = 4
_SPATIAL = (2, 3)


class CanonicalAverages(ProgramPass):
    """avg_pool(x, k) without padding  ⇒  the same, not counting the padding.

    mean(x, (2, 3))  ⇒  flatten(mean(x, (2, 3), keepdim), 1)

    *Given* an average pool with no padding, for which it is all the same whether padding counts,
    or a spatial mean that drops its dimensions. *Result* the only spellings that XNNPACK
    delegates; with the others a network falls into pieces.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such average."""
        rewrites: list[str] = []
        for node in list(graph_module.graph.nodes):
            name = operator_name(node)
            if (name == "avg_pool2d" and _discount_padding(node)) or (
                name == "mean" and _keep_dimensions(node)
            ):
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites))


def _discount_padding(node: fx.Node) -> bool:
    bound = arguments(node)
    padded = any(expand_list(bound["padding"], 2))
    if padded or bound["ceil_mode"] or not bound["count_include_pad"]:
        return False
    node.args = (
        bound["self"],
        bound["kernel_size"],
        bound["stride"] or bound["kernel_size"],
        [0, 0],
        False,
        False,
        *([] if bound["divisor_override"] is None else [bound["divisor_override"]]),
    )
    node.kwargs = {}
    return True


def _keep_dimensions(node: fx.Node) -> bool:
    bound = arguments(node)
    source: fx.Node = bound["self"]
    rank = value_of(source).dim()
    dims = bound.get("dim")
    if rank != _IMAGE_RANK or not dims or bound["keepdim"] or bound["dtype"] is not None:
        return False
    if tuple(sorted(d % rank for d in dims)) != _SPATIAL:
        return False
    kept = insert_call(
        node.graph, _aten.mean.dim, (source, list(_SPATIAL), True), before=node, like=node
    )
    flat = insert_call(node.graph, _aten.flatten.using_ints, (kept, 1), before=node, like=node)
    replace(node, flat)
    return True
