"""Spell sums on a part of the channels as whole sums, for runtimes that fuse these."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import same_tensor_type, value_of
from cnn_export.reparam.graph.surgery import insert_call, insert_constant, replace
from cnn_export.reparam.passes.partial_shortcuts.inner_sums import detach_inner_sums
from cnn_export.reparam.passes.partial_shortcuts.partial_shortcut import (
    Addend,
    PartialShortcut,
    read_partial_shortcut,
)
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_BYTES = 4


class MaskPartialShortcuts(ProgramPass):
    """cat([y[:, :k] + x[:, :k], y[:, k:]], 1)  ⇒  y + x·m,  m = 1 on the first k channels, else 0.

    *Given* the form of ``CanonicalPartialShortcuts``, whose added channels keep their place.
    *Result* one multiplication and one addition of whole maps; equal for every finite ``x``.

    ``most_bytes`` bounds a map (one image, four bytes an element), which the multiplication reads
    and writes once more: that is cheap only while a core's cache holds it. ``None`` is no bound.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self._most_bytes = most_bytes

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such sum, from the input on: later ones read the earlier as a whole."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            found = read_partial_shortcut(node)
            if found is None:
                continue
            reason = _obstacle(node, found, written) or self._too_large(node)
            if reason is not None:
                refusals.append(Refusal(node.name, reason))
                continue
            detach_inner_sums(node)
            replace(node, _insert_masked(graph_module, node, found))
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))

    def _too_large(self, node: fx.Node) -> str | None:
        sizes: list[Any] = list(value_of(node).shape[1:])
        size = _BYTES * math.prod(each for each in sizes if isinstance(each, int))
        if self._most_bytes is None or size <= self._most_bytes:
            return None
        return f"the mask would move {size} bytes once more; at most {self._most_bytes} are cheap"


def _obstacle(node: fx.Node, found: PartialShortcut, written: set[fx.Node]) -> str | None:
    for each in found.addends:
        source, first = each.values.source, each.values.start
        if each.start != first:
            return f"channel {first} of {source.name} is added to channel {each.start}"
        if not same_tensor_type(value_of(source), value_of(node)):
            return f"{source.name} is not of the sum's shape"
    sources = [found.base, *(each.values.source for each in found.addends)]
    changed = next(
        (each for each in (node, *node.all_input_nodes, *sources) if each in written), None
    )
    return None if changed is None else f"{changed.name} is written to in place"


def _insert_masked(graph_module: fx.GraphModule, node: fx.Node, found: PartialShortcut) -> fx.Node:
    """Return ``base + Σ x·m``, with one mask per tensor added."""
    by_source: dict[fx.Node, list[Addend]] = {}
    for each in found.addends:
        by_source.setdefault(each.values.source, []).append(each)
    total = found.base
    for source, addends in by_source.items():
        mask = insert_constant(
            graph_module, f"{node.name}_mask", _mask(node, addends), before=node, like=node
        )
        kept = _call(node, _aten.mul.Tensor, source, mask)
        total = _call(node, _aten.add.Tensor, total, kept)
    return total


def _mask(node: fx.Node, addends: list[Addend]) -> torch.Tensor:
    value = value_of(node)
    mask = torch.zeros(int(value.shape[1]), dtype=value.dtype)
    for each in addends:
        mask[each.start : each.stop] = 1
    return mask.reshape(1, -1, *[1] * (value.ndim - 2))


def _call(node: fx.Node, target: Any, left: fx.Node, right: fx.Node) -> fx.Node:
    return insert_call(node.graph, target, (left, right), before=node, like=node)
