"""The value that an in-place operator leaves behind, computed by operators that write nothing."""

from __future__ import annotations

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    overload,
    same_size,
    schema,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.surgery import insert_call

_aten = torch.ops.aten


def without_functional_form(writer: fx.Node) -> str | None:
    """Return why the value of an in-place operator cannot be computed, or ``None``."""
    op = overload(writer)
    reshapes = op is not None and torch.Tag.inplace_view in op.tags
    known = operator_name(writer) in _FILLS or _functional_overload(writer) is not None
    if known and not (reshapes and operator_name(writer) != "detach_"):
        return None
    return f"{operator_name(writer)} has no functional form that keeps shape and dtype"


def insert_functional_value(writer: fx.Node) -> fx.Node:
    """Return a new node before ``writer`` with the value it gives to what it writes to.

    In-place operators compute in the promoted dtype and convert to that of their first argument.
    """
    rule = _FILLS.get(operator_name(writer))
    if rule is not None:
        return rule(writer)
    target = _functional_overload(writer)
    if target is None:
        raise TypeError(f"{writer.name} has no functional form")
    new = _insert(writer, target, *writer.args, **writer.kwargs)
    return _insert_conversion(writer, new)


def _functional_overload(node: fx.Node) -> OpOverload | None:
    """Return ``aten.relu.default`` for ``aten.relu_.default``."""
    op = overload(node)
    name = operator_name(node)
    if op is None or not name.endswith("_") or not has_tensor(node):
        return None
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    functional: OpOverload | None = getattr(packet, schema(op).overload_name or "default", None)
    if functional is None or schema(functional).is_mutable:
        return None
    known = {argument.name for argument in schema(functional).arguments}
    same_types = [str(argument.type) for argument in schema(functional).arguments] == [
        str(argument.type) for argument in schema(op).arguments
    ]
    return functional if same_types and node.kwargs.keys() <= known else None


def _insert_copy(writer: fx.Node) -> fx.Node:
    """``y.copy_(x)``: ``x`` in the shape and dtype of ``y``, always as a value of its own."""
    bound = arguments(writer)
    return _insert(writer, _aten.clone.default, _insert_expanded(writer, bound["src"]))


def _insert_full(writer: fx.Node) -> fx.Node:
    bound = arguments(writer)
    value = bound.get("value", 0)
    if isinstance(value, fx.Node) and has_tensor(value):
        return _insert_expanded(writer, value)
    target: fx.Node = bound["self"]
    kind = value_of(target)
    shape = static_sizes(kind.shape)
    if shape is None:
        return _insert(writer, _aten.full_like.default, target, value)
    options = {"dtype": kind.dtype, "device": kind.device}
    return _insert(writer, _aten.full.default, list(shape), value, **options)


_FILLS = {"copy_": _insert_copy, "fill_": _insert_full, "zero_": _insert_full}


def _insert_expanded(writer: fx.Node, source: fx.Node) -> fx.Node:
    """Return ``source`` in the dtype and shape of what is written to."""
    converted = _insert_conversion(writer, source)
    target: fx.Node = arguments(writer)["self"]
    have, want = value_of(converted).shape, value_of(target).shape
    if len(have) == len(want) and all(same_size(a, b) for a, b in zip(have, want, strict=True)):
        return converted
    shape = static_sizes(want)
    if shape is None:
        return _insert(writer, _aten.expand_as.default, converted, target)
    return _insert(writer, _aten.expand.default, converted, list(shape))


def _insert_conversion(writer: fx.Node, value: fx.Node) -> fx.Node:
    dtype = value_of(arguments(writer)["self"]).dtype
    if value_of(value).dtype == dtype:
        return value
    return _insert(writer, _aten.to.dtype, value, dtype)


def _insert(writer: fx.Node, target: OpOverload, *args: object, **kwargs: object) -> fx.Node:
    return insert_call(writer.graph, target, args, kwargs, before=writer, like=writer)
