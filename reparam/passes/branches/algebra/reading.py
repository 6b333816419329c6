"""Every operator the algebra knows. A new one is one file in ``operators/`` and one line here."""

from __future__ import annotations

from typing import Any

from torch import fx

from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    same_tensor_type,
)
from cnn_export.reparam.graph.operators import value_of as _value
from cnn_export.reparam.passes.branches.algebra.leaf import Leaf, NotLinear, Reader
from cnn_export.reparam.passes.branches.algebra.operators.average_pool import read_average_pool
from cnn_export.reparam.passes.branches.algebra.operators.convolution import read_convolution
from cnn_export.reparam.passes.branches.algebra.operators.fully_connected import (
    read_fully_connected,
)
from cnn_export.reparam.passes.branches.algebra.operators.padding import read_padding
from cnn_export.reparam.passes.branches.algebra.operators.per_channel import read_per_channel
from cnn_export.reparam.passes.branches.algebra.operators.slicing import read_slice

READERS: tuple[Reader, ...] = (
    read_convolution,
    read_fully_connected,
    read_average_pool,
    read_padding,
    read_slice,
    read_per_channel,  # after the others: it looks at constants, which costs most
)


def read_leaf(graph_module: fx.GraphModule, node: fx.Node) -> Leaf | NotLinear | None:
    """Return the node as a linear map of one input, or why it is none; ``None`` if it never is."""
    if node.op != "call_function" or not has_tensor(node) or not _value(node).is_floating_point():
        return None
    for reader in READERS:
        found = reader(graph_module, node)
        if found is not None:
            return found
    return None


def read_sum(node: fx.Node) -> tuple[tuple[fx.Node, float], tuple[fx.Node, float]] | None:
    """Return the operands of ``a ± c·b`` with their factors, where nothing is broadcast."""
    name = operator_name(node)
    if name not in ("add", "sub", "rsub") or not has_tensor(node):
        return None
    bound = arguments(node)
    left, right, alpha = bound["self"], bound["other"], bound.get("alpha", 1)
    if not isinstance(alpha, (int, float)) or not _is_operand(left, node):
        return None
    if not _is_operand(right, node) or not _value(node).is_floating_point():
        return None
    factor = float(alpha)
    if name == "rsub":
        return (left, -factor), (right, 1.0)
    return (left, 1.0), (right, factor if name == "add" else -factor)


def _is_operand(operand: Any, node: fx.Node) -> bool:
    return (
        has_tensor(operand)
        and operand.op != "get_attr"
        and same_tensor_type(_value(operand), _value(node))
    )
