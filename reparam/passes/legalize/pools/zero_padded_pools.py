"""Pad max pools with zeros where nobody can tell them from minus infinity."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, expand_list, operator_name
from cnn_export.reparam.graph.surgery import insert_call
from cnn_export.reparam.passes.legalize.non_negative import clips_below_zero, non_negative
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal


class ZeroPaddedPools(ProgramPass):
    """max_pool2d(x, k, s, p)  ⇒  max_pool2d(pad(x, p), k, s, 0), where x ≥ 0 or a clip follows.

    *Given* a padded max pool without ``ceil_mode``. torch pads it with minus infinity, which
    becomes a PADV2 that XNNPACK leaves to TFLite's own kernel, in the middle of the network.
    *Result* zeros, which XNNPACK pads with: they are never the maximum of values that are not
    negative, nor are they noticed where all readers clip below zero.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace the padding of every such pool."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        padded = [node for node in graph_module.graph.nodes if _is_padded(node)]
        known = non_negative(graph_module.graph) if padded else set[fx.Node]()
        for pool in padded:
            bound = arguments(pool)
            reason = _obstacle(pool, bound, known)
            if reason is not None:
                refusals.append(Refusal(pool.name, reason))
                continue
            _pad_with_zeros(pool, bound)
            rewrites.append(pool.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _is_padded(node: fx.Node) -> bool:
    if operator_name(node) != "max_pool2d":
        return False
    return any(expand_list(arguments(node)["padding"], 2))


def _obstacle(pool: fx.Node, bound: dict[str, Any], known: set[fx.Node]) -> str | None:
    if bound["ceil_mode"]:
        return "it rounds its size up"
    if bound["self"] in known or all(clips_below_zero(user) for user in pool.users):
        return None
    return f"{bound['self'].name} may be negative, and not all its readers clip below zero"


def _pad_with_zeros(pool: fx.Node, bound: dict[str, Any]) -> None:
    height, width = expand_list(bound["padding"], 2)
    args = (bound["self"], [width, width, height, height])
    padded = insert_call(pool.graph, torch.ops.aten.pad.default, args, before=pool, like=pool)
    kernel = bound["kernel_size"]
    pool.args = (padded, kernel, bound["stride"] or kernel, 0, bound["dilation"])
    pool.kwargs = {}
