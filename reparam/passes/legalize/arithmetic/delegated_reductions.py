"""Spell sums, means and maxima over one dimension as layers and pools."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.operators import arguments, operator_name, static_sizes, value_of
from cnn_export.reparam.graph.surgery import Respelling
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_IMAGE_RANK = 4
_CHANNELS, _SPATIAL = (1,), (2, 3)
_NAMES = ("sum", "mean", "amax", "max", "linalg_vector_norm")


class DelegatedReductions(ProgramPass):
    """sum(x, last)  ⇒  linear(x, 1)    sum(x, channels)  ⇒  conv2d(x, 1)    means with 1/n.

    sum(x, image)  ⇒  mean(x)·n    ‖x‖₂  ⇒  √sum(x·x)    max(x)  ⇒  max_pool over the whole map

    *Given* a reduction of one dimension, or of an image to one value per channel. *Result*
    operators that XNNPACK takes for ExecuTorch, whose own it has the mean of an image only: the
    others end a partition, and a maximum over channels stops the conversion of the whole network.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Respell every such reduction."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            if operator_name(node) not in _NAMES or _is_delegated(node):
                continue
            reason = _obstacle(node)
            if reason is not None:
                refusals.append(Refusal(node.name, reason))
                continue
            _respell(Respelling(graph_module, node))
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _source(node: fx.Node) -> fx.Node:
    return arguments(node)["self"]


def _dims(node: fx.Node) -> tuple[int, ...]:
    """Return the dimensions that are reduced, counted from 0 and sorted; all of them by default."""
    rank = value_of(_source(node)).ndim
    given: Any = arguments(node).get("dim")
    if given is None or given == []:
        return tuple(range(rank))
    listed: list[int] = [given] if isinstance(given, int) else list(given)
    return tuple(sorted(each % rank for each in listed))


def _is_delegated(node: fx.Node) -> bool:
    rank = value_of(_source(node)).ndim
    image = rank == _IMAGE_RANK and _dims(node) == _SPATIAL
    return operator_name(node) == "mean" and image


def _obstacle(node: fx.Node) -> str | None:
    value, bound, dims = value_of(_source(node)), arguments(node), _dims(node)
    if not value.dtype.is_floating_point or bound.get("dtype") not in (None, value.dtype):
        return f"it is of {value.dtype}, or gives another kind of numbers"
    if operator_name(node) == "linalg_vector_norm":
        return None if bound["ord"] == 2 else f"it is a norm of order {bound['ord']}"
    sizes = static_sizes([value.shape[each] for each in dims])
    if sizes is None or static_sizes(value.shape[1:]) is None:
        return "how much it reduces is not known"
    if len(dims) != 1 and not (value.ndim == _IMAGE_RANK and dims == _SPATIAL):
        return f"it reduces the dimensions {list(dims)} of {value.ndim}"
    if operator_name(node) in ("amax", "max"):
        if value.ndim != _IMAGE_RANK or dims not in (_CHANNELS, _SPATIAL):
            return f"it is a maximum over the dimensions {list(dims)} of {value.ndim}"
        if operator_name(node) == "max" and _reads_indices(node):
            return "it says where the maximum is"
    return "it reduces the batch" if 0 in dims else None


def _reads_indices(node: fx.Node) -> bool:
    return any(
        user.target is not operator.getitem or (user.args[1] != 0 and bool(user.users))
        for user in node.users
    )


def _respell(new: Respelling) -> None:
    node, source = new.node, _source(new.node)
    match operator_name(node):
        case "linalg_vector_norm":
            squares = new.call(_aten.mul.Tensor, source, source)
            result = new.call(_aten.sqrt.default, _insert_sum(new, squares, mean=False))
        case "sum" | "mean":
            result = _insert_sum(new, source, mean=operator_name(node) == "mean")
        case _:
            _give_maximum(new)
            return
    new.give(_insert_shape(new, result, value_of(node).shape))


def _insert_sum(new: Respelling, source: fx.Node, *, mean: bool) -> fx.Node:
    """Return the values, in an order that a reshape brings into the wanted shape."""
    dims, shape = _dims(new.node), value_of(source).shape
    count = torch.Size([shape[each] for each in dims]).numel()
    if dims == _SPATIAL:
        means = new.call(_aten.mean.dim, source, list(_SPATIAL), True)
        return means if mean else new.call(_aten.mul.Tensor, means, float(count))
    weight = 1 / count if mean else 1.0
    if len(shape) == _IMAGE_RANK and dims == _CHANNELS:
        kernel = torch.full((1, count, 1, 1), weight, dtype=torch.float64)
        return new.call(_aten.conv2d.default, source, new.insert_number("sum_weights", kernel))
    if dims[0] != len(shape) - 1:
        order = [each for each in range(len(shape)) if each not in dims]
        source = new.call(_aten.permute.default, source, [*order, *dims])
    row = torch.full((1, count), weight, dtype=torch.float64)
    return new.call(_aten.linear.default, source, new.insert_number("sum_weights", row))


def _give_maximum(new: Respelling) -> None:
    source, dims = _source(new.node), _dims(new.node)
    first, *sizes = value_of(source).shape
    if dims == _CHANNELS:
        channels, height, width = sizes
        listed = [_count(first), 1, channels, height * width]
        source, sizes = new.call(_aten.reshape.default, source, listed), [1, channels, 1]
    pooled = new.call(_aten.max_pool2d.default, source, sizes[1:], sizes[1:])
    if operator_name(new.node) == "amax":
        new.give(_insert_shape(new, pooled, value_of(new.node).shape))
        return
    values = [user for user in new.node.users if user.args[1] == 0]
    for user in values:
        result = _insert_shape(new, pooled, value_of(user).shape)
        user.replace_all_uses_with(result)
    for user in list(new.node.users):
        new.node.graph.erase_node(user)
    new.node.graph.erase_node(new.node)


def _insert_shape(new: Respelling, value: fx.Node, shape: torch.Size) -> fx.Node:
    if len(value_of(value).shape) == len(shape) and value_of(value).shape[1:] == shape[1:]:
        return value
    return new.call(_aten.reshape.default, value, [_count(shape[0]), *shape[1:]])


def _count(size: int | torch.SymInt) -> int:
    return size if isinstance(size, int) else -1
