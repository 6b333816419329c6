"""Size and arithmetic of a graph: operators, parameters, multiply-accumulates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.attributes import attribute
from cnn_export.reparam.graph.linear_operators import CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS
from cnn_export.reparam.graph.operators import arguments, operator_name, overload, value_of


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a graph holds and computes.

    ``parameters`` are elements; tensors stored under two names count once,
    tensors that nothing reads not at all. ``macs`` are those of
    convolutions, linear layers and matrix products for one image; elementwise work counts nothing.
    """

    ops: int
    parameters: int
    parameter_bytes: int
    buffer_bytes: int
    macs: int


def measure(graph_module: fx.GraphModule) -> Cost:
    """Return the cost of a graph at batch 1, from the shapes in ``meta["val"]``.

    A static batch N > 1, read from the first input, divides the multiply-accumulates.
    """
    nodes = list(graph_module.graph.nodes)
    paths = {node.target for node in nodes if node.op == "get_attr" and node.users}
    stored = {id(tensor): tensor for tensor in _tensors(graph_module, paths)}.values()
    parameters = [tensor for tensor in stored if isinstance(tensor, torch.nn.Parameter)]
    parameter_bytes = sum(tensor.nbytes for tensor in parameters)
    return Cost(
        ops=sum(overload(node) is not None for node in nodes),
        parameters=sum(tensor.numel() for tensor in parameters),
        parameter_bytes=parameter_bytes,
        buffer_bytes=sum(tensor.nbytes for tensor in stored) - parameter_bytes,
        macs=sum(node_macs(node) for node in nodes) // _batch(nodes),
    )


def node_macs(node: fx.Node) -> int:
    """Return the multiply-accumulates of one node at its traced batch; a symbolic batch is 1."""
    count = _COUNTERS.get(operator_name(node))
    return count(arguments(node), value_of(node)) if count else 0


def _convolution(bound: dict[str, Any], output: torch.Tensor) -> int:
    """Every output element sums over in/groups channels and the kernel."""
    return elements(output.shape) * elements(value_of(bound["weight"]).shape[1:])


def _transposed(bound: dict[str, Any], _: torch.Tensor) -> int:
    """Every input element is spread over out/groups channels and the kernel."""
    return elements(value_of(bound["input"]).shape) * elements(value_of(bound["weight"]).shape[1:])


def _any_convolution(bound: dict[str, Any], output: torch.Tensor) -> int:
    return (_transposed if bound["transposed"] else _convolution)(bound, output)


def _product(left: str) -> Callable[[dict[str, Any], torch.Tensor], int]:
    """Every output element sums over the last dimension of the left factor."""

    def count(bound: dict[str, Any], output: torch.Tensor) -> int:
        return elements(output.shape) * elements(value_of(bound[left]).shape[-1:])

    return count


_COUNTERS: dict[str, Callable[[dict[str, Any], torch.Tensor], int]] = {
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys(TRANSPOSED_CONVOLUTIONS, _transposed),
    "convolution": _any_convolution,
    "linear": _product("input"),
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot"), _product("self")),
    "addmm": _product("mat1"),
    "baddbmm": _product("batch1"),
}


def _tensors(graph_module: fx.GraphModule, paths: set[Any]) -> list[torch.Tensor]:
    return [attribute(graph_module, path) for path in sorted(paths)]


def _batch(nodes: list[fx.Node]) -> int:
    shapes = [value_of(node).shape for node in nodes if node.op == "placeholder"]
    return _size(shapes[0][0]) if shapes and shapes[0] else 1


def elements(shape: Any) -> int:
    """Return the number of elements, every symbol (the batch) counted as 1."""
    return math.prod(_size(size) for size in shape)


def _size(size: Any) -> int:
    """Return a size with every symbol (the batch) set to 1."""
    if isinstance(size, int):
        return size
    expression = size.node.expr
    return int(expression.subs(dict.fromkeys(expression.free_symbols, 1)))
