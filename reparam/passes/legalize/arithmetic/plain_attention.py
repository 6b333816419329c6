"""Spell attention as products and a softmax, which delegates take one by one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten


class PlainAttention(ProgramPass):
    """scaled_dot_product_attention(q, k, v, mask)  ⇒  softmax((q·s) kᵀ + mask) v    s = 1/√d.

    *Given* attention whose mask, if it has one, leaves something in every row.
    *Result* the same without the safeguard that torch's own decomposition has for rows masked as a
    whole: six operators on comparisons, outside of XNNPACK, per layer (ViT's block on ExecuTorch:
    5 partitions ⇒ 1, with BatchedProducts and CenteredNorms).
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every attention."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "scaled_dot_product_attention":
                continue
            bound = arguments(node)
            reason = _obstacle(graph_module, bound)
            if reason is not None:
                refusals.append(Refusal(node.name, reason))
                continue
            _respell(Respelling(graph_module, node), bound)
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _obstacle(graph_module: fx.GraphModule, bound: dict[str, Any]) -> str | None:
    if bound["enable_gqa"]:
        return "several queries share a key"
    if bound["is_causal"]:
        sizes = [value_of(bound[each]).shape[-2] for each in ("query", "key")]
        return "how long its causal mask is, is not known" if static_sizes(sizes) is None else None
    if bound["attn_mask"] is None:
        return None
    mask = constant(graph_module, bound["attn_mask"])
    if mask is None:
        return "its mask is computed: it may leave nothing of a row"
    allowed = mask if mask.dtype == torch.bool else mask > -math.inf
    return None if bool(allowed.any(-1).all()) else "its mask leaves nothing of a row"


def _respell(new: Respelling, bound: dict[str, Any]) -> None:
    query, key, mask = bound["query"], bound["key"], bound["attn_mask"]
    scale = bound["scale"]
    if scale is None:
        scale = 1 / math.sqrt(value_of(query).shape[-1])
    scaled = new.call(_aten.mul.Tensor, query, float(scale))
    weights = new.call(_aten.matmul.default, scaled, new.call(_aten.transpose.int, key, -2, -1))
    if bound["is_causal"]:
        rows, columns = value_of(weights).shape[-2:]
        mask = _insert_additive(new, torch.ones(rows, columns, dtype=torch.bool).tril())
    elif mask is not None and value_of(mask).dtype == torch.bool:
        allowed = constant(new.graph_module, mask)
        mask = None if allowed is None else _insert_additive(new, allowed)
    if mask is not None:
        weights = new.call(_aten.add.Tensor, weights, mask)
    softmax = new.call(_aten.softmax.int, weights, -1)
    new.give(new.call(_aten.matmul.default, softmax, bound["value"]))


def _insert_additive(new: Respelling, allowed: torch.Tensor) -> fx.Node:
    """Store what a mask adds: 0 where something is allowed, else −∞."""
    zeros = torch.zeros(allowed.shape, dtype=torch.float64)
    return new.insert_number("attention_mask", zeros.masked_fill(~allowed, -math.inf))
