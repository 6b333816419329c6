"""Spell reshapes under a dynamic batch without sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import (
    arguments,
    operator_name,
    overload,
    same_size,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_RESHAPES = frozenset({"flatten", "view", "reshape"})


class SqueezeReshapes(ProgramPass):
    """reshape of (N, C, 1, 1) to (N, C) or back  ⇒  squeeze, unsqueeze.

    *Given* ``flatten``, ``view`` or ``reshape`` of a map whose batch N is symbolic: litert-torch
    cannot lower it, and XNNPACK does not run the one with ``-1``. *Result* squeezes, which carry
    no sizes and pass both. A reshape that does more is refused.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every reshape that only drops or adds dimensions of size 1."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            if not _is_reshape(node) or static_sizes(value_of(node).shape) is not None:
                continue
            if _only_drops_ones(node):
                replace(node, _insert_squeezes(node))
                rewrites.append(node.name)
            else:
                reason = "it cannot be converted with a dynamic batch; use --batch N"
                refusals.append(Refusal(node.name, reason))
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _is_reshape(node: fx.Node) -> bool:
    """Tell a reshape from ``view.dtype``, which reads the same bits as other numbers."""
    return operator_name(node) in _RESHAPES and overload(node) is not _aten.view.dtype


def _only_drops_ones(node: fx.Node) -> bool:
    before, after = (_without_ones(value_of(each).shape) for each in (_source(node), node))
    return len(before) == len(after) and all(map(same_size, before, after))


def _insert_squeezes(node: fx.Node) -> fx.Node:
    value = _source(node)
    args: tuple[Any, ...] = (value, _ones(value_of(value).shape))
    value = insert_call(node.graph, _aten.squeeze.dims, args, before=node, like=node)
    for axis in _ones(value_of(node).shape):
        args = (value, axis)
        value = insert_call(node.graph, _aten.unsqueeze.default, args, before=node, like=node)
    return value


def _source(node: fx.Node) -> fx.Node:
    return arguments(node)["self"]


def _ones(shape: Sequence[Any]) -> list[int]:
    return [axis for axis, size in enumerate(shape) if axis > 0 and _is_one(size)]


def _without_ones(shape: Sequence[Any]) -> list[Any]:
    return [size for axis, size in enumerate(shape) if axis == 0 or not _is_one(size)]


def _is_one(size: Any) -> bool:
    return isinstance(size, int) and size == 1
