"""Write one part of an operator: the same call on fewer channels, with sliced weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg

from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import arguments, overload
from cnn_export.reparam.graph.surgery import insert_call, insert_constant
from cnn_export.reparam.passes.partial_shortcuts.channel_split.channelwise import Channelwise, Dense

Span = tuple[int, int]
"""First channel, and the first one after."""


def write_channelwise(
    graph_module: fx.GraphModule, kind: Channelwise, operands: Mapping[fx.Node, fx.Node], span: Span
) -> fx.Node:
    """Return the channels ``span`` of ``kind``, computed from those channels of its operands."""
    stored = {
        each: _insert_sliced(graph_module, each, {dim: span}, kind.node)
        for each, dim in kind.stored.items()
    }
    replaced = {**operands, **stored}

    def part_of(node: fx.Node) -> fx.Node:
        return replaced.get(node, node)

    args: Any = map_arg(kind.node.args, part_of)
    kwargs: Any = map_arg(kind.node.kwargs, part_of)
    if kind.depthwise:
        args, kwargs = _in_groups(kind.node, part_of, span[1] - span[0]), {}
    return _call(kind.node, args, kwargs)


def write_dense(
    graph_module: fx.GraphModule,
    kind: Dense,
    part: fx.Node,
    columns: Span,
    rows: Span,
    *,
    with_bias: bool,
) -> fx.Node:
    """Return ``W[rows, columns] * part``, plus ``b[rows]`` if wanted."""
    bound = arguments(kind.node)
    bias = bound["bias"] if with_bias else None
    bound["input"] = part
    bound["weight"] = _insert_sliced(
        graph_module, bound["weight"], {0: rows, 1: columns}, kind.node
    )
    bound["bias"] = (
        None if bias is None else _insert_sliced(graph_module, bias, {0: rows}, kind.node)
    )
    return _call(kind.node, tuple(bound.values()), {})


def write_sum(left: fx.Node, right: fx.Node, *, at: fx.Node) -> fx.Node:
    """Return ``left + right``, placed at ``at``."""
    args = (left, right)
    return insert_call(at.graph, torch.ops.aten.add.Tensor, args, before=at, like=at)


def _in_groups(node: fx.Node, part_of: Any, groups: int) -> tuple[Any, ...]:
    bound = arguments(node) | {"groups": groups}
    args: Any = map_arg(tuple(bound.values()), part_of)
    return args


def _insert_sliced(
    graph_module: fx.GraphModule, stored: fx.Node, spans: Mapping[int, Span], at: fx.Node
) -> fx.Node:
    """Return the stored tensor's ``spans`` per dimension as a stored tensor of its own."""
    whole = constant(graph_module, stored)
    if whole is None:
        raise TypeError(f"{stored.name} is no stored tensor")
    part = whole
    for dim, (start, stop) in spans.items():
        part = part.narrow(dim, start, stop - start)
    if part.shape == whole.shape:
        return stored
    # A view would keep the memory of the whole alive, and be written with it.
    copy = part.clone(memory_format=torch.contiguous_format)
    return insert_constant(graph_module, f"{stored.target}_part", copy, before=at, like=at)


def _call(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> fx.Node:
    target = overload(node)
    if target is None:
        raise TypeError(f"{node.name} is no ATen call")
    return insert_call(node.graph, target, args, kwargs, before=node, like=node)
