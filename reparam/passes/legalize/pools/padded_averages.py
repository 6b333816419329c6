"""Pad a map with zeros in front of an average pool that counts them."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, expand_list, operator_name
from cnn_export.reparam.graph.surgery import insert_call
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal


class PaddedAverages(ProgramPass):
    """avg_pool2d(x, k, s, p, counted)  ⇒  avg_pool2d(pad(x, p), k, s, 0, not counted).

    *Given* an average pool that divides by its whole window where padding lies in it. *Result* the
    same sums and divisors as two operators that XNNPACK takes; it has no pool that counts its
    padding, and a network with one falls into pieces.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace the padding of every such pool."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            if not _counts_padding(node):
                continue
            bound = arguments(node)
            if bound["ceil_mode"]:
                refusals.append(Refusal(node.name, "it rounds its size up"))
                continue
            _pad_first(node, bound)
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _counts_padding(node: fx.Node) -> bool:
    if operator_name(node) != "avg_pool2d":
        return False
    bound = arguments(node)
    return bool(bound["count_include_pad"]) and any(expand_list(bound["padding"], 2))


def _pad_first(pool: fx.Node, bound: dict[str, Any]) -> None:
    height, width = expand_list(bound["padding"], 2)
    args = (bound["self"], [width, width, height, height])
    padded = insert_call(pool.graph, torch.ops.aten.pad.default, args, before=pool, like=pool)
    kernel = bound["kernel_size"]
    override = bound["divisor_override"]
    last = () if override is None else (override,)
    pool.args = (padded, kernel, bound["stride"] or kernel, 0, False, False, *last)
    pool.kwargs = {}
