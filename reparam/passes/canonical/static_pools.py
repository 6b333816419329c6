"""Spell adaptive pools of known input size as plain or global pools."""

from __future__ import annotations

import dataclasses
import operator
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.reparam.graph.operators import (
    arguments,
    expand_list,
    operator_name,
    readers,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_AVERAGE: dict[str, tuple[int, OpOverload]] = {
    "adaptive_avg_pool1d": (1, _aten.avg_pool1d.default),
    "adaptive_avg_pool2d": (2, _aten.avg_pool2d.default),
    "adaptive_avg_pool3d": (3, _aten.avg_pool3d.default),
}
_MAXIMUM: dict[str, tuple[int, OpOverload]] = {
    "adaptive_max_pool1d": (1, _aten.max_pool1d.default),
    "adaptive_max_pool2d": (2, _aten.max_pool2d.default),
    "adaptive_max_pool3d": (3, _aten.max_pool3d.default),
}


@dataclasses.dataclass(frozen=True)
class _Pool:
    """An adaptive pool whose windows all have the size ``kernel``, side by side."""

    node: fx.Node
    input: fx.Node
    kernel: tuple[int, ...]
    is_global: bool


class StaticPools(ProgramPass):
    """adaptive_avg_pool(x, o)  ⇒  avg_pool(x, i/o)  or  mean(x) over the spatial dimensions.

    *Given* an adaptive pool whose input size ``i`` is known and a multiple of its output size
    ``o``: window ``k`` of output ``k`` is ``[k·i/o, (k+1)·i/o)``, so all windows are equal.
    *Result* a pool with kernel and stride ``i/o``; for ``o = 1`` averages become a mean, the form
    that every mobile runtime takes as global pooling. XNNPACK delegates no adaptive pool.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every adaptive pool with equal windows."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            name = operator_name(node)
            entry = _AVERAGE.get(name) or _MAXIMUM.get(name)
            if entry is None:
                continue
            pool = _read(node, entry[0])
            if isinstance(pool, Refusal):
                refusals.append(pool)
                continue
            (_replace_average if name in _AVERAGE else _replace_maximum)(pool, entry[1])
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _read(node: fx.Node, spatial: int) -> _Pool | Refusal:
    bound = arguments(node)
    source: fx.Node = bound["self"]
    size = static_sizes(value_of(source).shape[-spatial:])
    output = static_sizes(expand_list(bound["output_size"], spatial))
    if size is None or output is None:
        return Refusal(node.name, "the size of its input is not known")
    if any(i % o for i, o in zip(size, output, strict=True)):
        return Refusal(node.name, f"{_text(size)} is no multiple of {_text(output)}")
    if operator_name(node) in _MAXIMUM and _reads_indices(node):
        return Refusal(node.name, f"its indices are read: {readers(node)}")
    kernel = tuple(i // o for i, o in zip(size, output, strict=True))
    return _Pool(node, source, kernel, is_global=all(o == 1 for o in output))


def _reads_indices(node: fx.Node) -> bool:
    """Whether anyone reads more than the values; the trace unpacks unread indices as well."""
    return any(
        user.target is not operator.getitem or (user.args[1] != 0 and bool(user.users))
        for user in node.users
    )


def _replace_average(pool: _Pool, target: OpOverload) -> None:
    graph, node = pool.node.graph, pool.node
    args: tuple[Any, ...]
    if pool.is_global:
        dims = list(range(-len(pool.kernel), 0))
        target, args = _aten.mean.dim, (pool.input, dims, True)
    else:
        args = (pool.input, list(pool.kernel), list(pool.kernel))
    replace(node, insert_call(graph, target, args, before=node, like=node))


def _replace_maximum(pool: _Pool, target: OpOverload) -> None:
    node = pool.node
    args = (pool.input, list(pool.kernel), list(pool.kernel))
    new = insert_call(node.graph, target, args, before=node, like=node)
    for user in list(node.users):
        # An unread index has no users to move.
        replace(user, new)
    node.graph.erase_node(node)


def _text(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))
