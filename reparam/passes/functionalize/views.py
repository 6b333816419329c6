"""Views as lenses: which part of a tensor they show, read again and written back as values.

A *certain* view shares its parent's memory whatever the strides are, so that a write through it
can be expressed as a new value of the parent: ``write_back(view, parent, part)`` returns the
parent with the part that ``view`` shows replaced.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_arguments
from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    overload,
    schema,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.splice import splice, splice_index
from cnn_export.reparam.graph.surgery import insert_call

_aten = torch.ops.aten

_IDENTITIES = frozenset({"alias", "detach", "lift_fresh", "positive"})
_DROPOUTS = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})
_READ_ONLY = frozenset(
    {"expand", "expand_as", "broadcast_to", "diagonal", "unfold"}
    | {"narrow", "split", "split_with_sizes", "chunk", "tensor_split", "unbind"}
    | {"hsplit", "vsplit", "dsplit"}
)
"""Views that are read again like any other but through which no write is understood."""


def viewed(node: fx.Node) -> fx.Node | None:
    """Return the node whose memory the result certainly is, or ``None``.

    Results of in-place operators count: they are the tensor written to.
    """
    written = written_arguments(node)
    if written:
        return written[0] if len(written) == 1 and _returns_written(node) else None
    if node.target is operator.getitem:
        source = node.all_input_nodes[0]
        return source if operator_name(source) in _READ_ONLY else None
    name = operator_name(node)
    if name in _DROPOUTS and not arguments(node)["train"]:
        return arguments(node)["input"]
    if not (name in _IDENTITIES or name in _READ_ONLY or name in _WRITE_BACK):
        return None
    op = overload(node)
    if op is None or schema(op).overload_name == "dtype":
        return None
    return node.all_input_nodes[0]


def is_same_node(node: fx.Node) -> bool:
    """Whether a certain view is another name of its parent.

    So are the results of in-place operators, and an item picked once more from several results.
    """
    if node.target is operator.getitem:
        return operator_name(node.all_input_nodes[0]) not in _READ_ONLY
    return bool(written_arguments(node))


def is_identity(node: fx.Node) -> bool:
    """Whether a certain view shows all of its parent, in its parent's shape."""
    name = operator_name(node)
    return name in _IDENTITIES or name in _DROPOUTS or is_same_node(node)


def insert_view(node: fx.Node, parent: fx.Node, before: fx.Node) -> fx.Node:
    """Return the same view of another value of its parent, placed at ``before``.

    ``view`` becomes ``reshape``: the new value may have other strides.
    """
    if node.target is operator.getitem:
        return _insert_getitem(node, parent, before)
    args = (parent, *node.args[1:])
    kwargs = dict(node.kwargs)
    return insert_call(node.graph, replay_target(node), args, kwargs, before=before, like=node)


def replay_target(node: fx.Node) -> Any:
    """Return what reads the same view of a value of other strides: ``reshape`` for ``view``."""
    if node.target is operator.getitem:
        return node.target
    target = _RESHAPES.get(str(node.target), overload(node))
    if target is None:
        raise TypeError(f"{node.name} is no view")
    return target


def _returns_written(node: fx.Node) -> bool:
    op = overload(node)
    returned = schema(op).returns if op else []
    return has_tensor(node) and len(returned) == 1 and returned[0].alias_info is not None


def unwritable(node: fx.Node) -> str | None:
    """Return why a write through this view is not understood, or ``None``."""
    if is_identity(node) or operator_name(node) in _WRITE_BACK:
        return None
    return f"{operator_name(node) or node.name} (node {node.name}) is no view that can be written"


def write_back(view: fx.Node, whole: fx.Node, part: fx.Node, before: fx.Node) -> fx.Node:
    """Return ``whole`` with what ``view`` shows of it replaced by ``part``; both are values."""
    if is_identity(view):
        return part
    return _WRITE_BACK[operator_name(view)](view, whole, part, before)


def _insert_getitem(node: fx.Node, parent: fx.Node, before: fx.Node) -> fx.Node:
    with node.graph.inserting_before(before):
        new = node.graph.call_function(operator.getitem, (parent, node.args[1]))
    new.meta.update(node.meta)
    return new


def _write_slice(view: fx.Node, whole: fx.Node, part: fx.Node, before: fx.Node) -> fx.Node:
    bound = arguments(view)
    region = (bound["dim"], bound["start"], bound["end"], bound["step"])
    return splice(whole, part, *region, before=before, like=view)


def _write_select(view: fx.Node, whole: fx.Node, part: fx.Node, before: fx.Node) -> fx.Node:
    bound = arguments(view)
    return splice_index(whole, part, bound["dim"], bound["index"], before=before, like=view)


def _write_reshape(view: fx.Node, whole: fx.Node, part: fx.Node, before: fx.Node) -> fx.Node:
    shape = static_sizes(value_of(whole).shape)
    if shape is None:
        args: tuple[Any, ...] = (part, whole)
        return insert_call(view.graph, _aten.reshape_as.default, args, before=before, like=view)
    return insert_call(
        view.graph, _aten.reshape.default, (part, list(shape)), before=before, like=view
    )


def _write_permute(view: fx.Node, whole: fx.Node, part: fx.Node, before: fx.Node) -> fx.Node:
    dims = permutation(view, value_of(whole).ndim)
    inverse = [dims.index(axis) for axis in range(len(dims))]
    return insert_call(view.graph, _aten.permute.default, (part, inverse), before=before, like=view)


def permutation(view: fx.Node, rank: int) -> list[int]:
    """Return the dimensions of the parent in the order that a permuting view shows them."""
    bound = arguments(view)
    name = operator_name(view)
    if name == "permute":
        return [dim % rank for dim in bound["dims"]]
    dims = list(range(rank))
    first, second = _swapped(name, bound, rank)
    if rank:
        dims[first], dims[second] = dims[second], dims[first]
    return dims


def _swapped(name: str, bound: dict[str, Any], rank: int) -> Sequence[int]:
    if name == "transpose":
        return bound["dim0"] % rank, bound["dim1"] % rank
    if name in ("swapaxes", "swapdims"):
        first, second = ("axis0", "axis1") if name == "swapaxes" else ("dim0", "dim1")
        return bound[first] % rank, bound[second] % rank
    return max(rank - 2, 0), max(rank - 1, 0)


_WriteBack = Callable[[fx.Node, fx.Node, fx.Node, fx.Node], fx.Node]
_WRITE_BACK: dict[str, _WriteBack] = {
    "slice": _write_slice,
    "select": _write_select,
    **dict.fromkeys(("view", "view_as", "unflatten", "squeeze", "unsqueeze"), _write_reshape),
    **dict.fromkeys(("permute", "transpose", "swapaxes", "swapdims", "t", "mT"), _write_permute),
}

_RESHAPES: dict[str, Any] = {
    "aten.view.default": _aten.reshape.default,
    "aten.view_as.default": _aten.reshape_as.default,
}
