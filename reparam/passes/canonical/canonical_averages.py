"""Spell averages the way delegates take them."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, expand_list, operator_name, value_of
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.passes.canonical.pool_windows import overhang
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_IMAGE_RANK = 4
_SPATIAL = (2, 3)


class CanonicalAverages(ProgramPass):
    """avg_pool(x, k) without padding  ⇒  the same, not counting the padding, rounding down.

    mean(x, (2, 3))  ⇒  flatten(mean(x, (2, 3), keepdim), 1)

    *Given* an average pool with no padding, for which it is all the same whether padding counts,
    and whose windows end where the map ends, if it rounds its size up; or a spatial mean that
    drops its dimensions. *Result* the only spellings that XNNPACK delegates; with the others a
    network falls into pieces.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such average."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            reason: str | None
            if operator_name(node) == "avg_pool2d" and _is_unusual_pool(node):
                reason = _pool_obstacle(node) or _discount_padding(node)
            elif operator_name(node) == "mean" and _drops_spatial(node):
                reason = _keep_dimensions(node)
            else:
                continue
            if reason:
                refusals.append(Refusal(node.name, reason))
            else:
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _is_unusual_pool(node: fx.Node) -> bool:
    bound = arguments(node)
    return bool(bound["ceil_mode"] or bound["count_include_pad"])


def _pool_obstacle(node: fx.Node) -> str | None:
    bound = arguments(node)
    padding = expand_list(bound["padding"], 2)
    if any(padding) and bound["count_include_pad"]:
        return f"its averages count a padding of {padding[0]}x{padding[1]}"
    beyond = overhang(node, 2)
    if bound["ceil_mode"] and (beyond is None or any(beyond)):
        return "it rounds its size up: its last windows reach beyond the map"
    return None


def _discount_padding(node: fx.Node) -> None:
    bound = arguments(node)
    node.args = (
        bound["self"],
        bound["kernel_size"],
        bound["stride"] or bound["kernel_size"],
        bound["padding"],
        False,
        False,
        *([] if bound["divisor_override"] is None else [bound["divisor_override"]]),
    )
    node.kwargs = {}


def _drops_spatial(node: fx.Node) -> bool:
    bound = arguments(node)
    rank = value_of(bound["self"]).dim()
    dims = bound.get("dim")
    if rank != _IMAGE_RANK or not dims or bound["keepdim"]:
        return False
    return tuple(sorted(dim % rank for dim in dims)) == _SPATIAL


def _keep_dimensions(node: fx.Node) -> str | None:
    bound = arguments(node)
    if bound["dtype"] is not None:
        return f"it converts to {bound['dtype']}"
    args = (bound["self"], list(_SPATIAL), True)
    kept = insert_call(node.graph, _aten.mean.dim, args, before=node, like=node)
    flat = insert_call(node.graph, _aten.flatten.using_ints, (kept, 1), before=node, like=node)
    replace(node, flat)
    return None
