"""Reading ATen nodes: which operator, which arguments, which shape. Nothing here edits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload


def overload(node: fx.Node) -> OpOverload | None:
    """Return the ATen overload a node calls, or ``None`` for any other node."""
    target = node.target
    return target if node.op == "call_function" and isinstance(target, OpOverload) else None


def schema(op: OpOverload) -> torch.FunctionSchema:
    """Return an operator's schema: names, types, defaults and aliasing of its arguments."""
    return op._schema  # pyright: ignore[reportPrivateUsage]  # torch offers no public accessor


def operator_name(node: fx.Node) -> str:
    """Return the ATen operator without namespace and overload, e.g. ``conv2d``; else ``""``."""
    op = overload(node)
    return schema(op).name.removeprefix("aten::") if op else ""


def arguments(node: fx.Node) -> dict[str, Any]:
    """Return every argument of an ATen node by its schema name, defaults filled in.

    Raises:
        TypeError: the node does not call an ATen overload.
    """
    op = overload(node)
    if op is None:
        raise TypeError(f"{node.name} is no ATen call")
    bound: dict[str, Any] = {}
    for position, argument in enumerate(schema(op).arguments):
        if position < len(node.args):
            bound[argument.name] = node.args[position]
        else:
            default = argument.default_value if argument.has_default_value() else None
            bound[argument.name] = node.kwargs.get(argument.name, default)
    return bound


def value_of(node: fx.Node) -> torch.Tensor:
    """Return the fake tensor that describes a node's single tensor result.

    Raises:
        TypeError: the node yields no single tensor, or carries no ``meta["val"]``.
    """
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{node.name} yields no single tensor")
    return value


def has_tensor(node: Any) -> bool:
    """Whether the argument is a node that yields one tensor of known shape."""
    return isinstance(node, fx.Node) and isinstance(node.meta.get("val"), torch.Tensor)


def same_size(left: Any, right: Any) -> bool:
    """Whether two sizes are equal for every batch. Never adds a guard on a symbolic size."""
    if isinstance(left, int) and isinstance(right, int):
        return left == right
    if isinstance(left, torch.SymInt) and isinstance(right, torch.SymInt):
        return bool(left.node.expr == right.node.expr)
    return False


def same_tensor_type(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether shape, dtype and device agree; strides are free."""
    return (
        left.dtype == right.dtype
        and left.device == right.device
        and left.ndim == right.ndim
        and all(same_size(a, b) for a, b in zip(left.shape, right.shape, strict=True))
    )


def static_sizes(sizes: Sequence[Any]) -> tuple[int, ...] | None:
    """Return the sizes as integers, or ``None`` if one is symbolic."""
    if all(isinstance(size, int) for size in sizes):
        return tuple(int(size) for size in sizes)
    return None


def readers(node: fx.Node) -> str:
    """Return the names of a node's users for a message, sorted."""
    return ", ".join(sorted(user.name for user in node.users))


def expand_list(value: Any, length: int) -> tuple[int, ...]:
    """Return an ATen integer-list argument at full length (one value stands for all)."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * length if len(values) == 1 else values
