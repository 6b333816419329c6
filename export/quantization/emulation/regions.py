"""Which nodes of a quantized graph one integer kernel computes together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.grid import Grid, grid_of
from cnn_export.quantization.emulation.layer_reading import read_layer
from cnn_export.quantization.insertion.decomposed import DEQUANTIZE, QUANTIZE
from cnn_export.reparam.graph.linear_operators import read_linear_operator
from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.graph.scalars import clipped_input

_IMAGE_RANK = 4

Kernel = Callable[..., torch.Tensor]
"""Takes the stored integers of the region's ``reads`` and returns the stored result."""


@dataclasses.dataclass(frozen=True)
class Region:
    """``dequantize → operator (→ activation) → quantize``, computed at the quantize node.

    ``reads``: the nodes whose stored integers ``kernel`` takes. ``inside``: the operator and its
    activation, which nothing else reads.
    """

    output: fx.Node
    reads: tuple[fx.Node, ...]
    inside: tuple[fx.Node, ...]
    kernel: Kernel


def regions(graph_module: fx.GraphModule, arithmetic: Arithmetic) -> list[Region]:
    """Return the regions that the arithmetic computes in integers, in the graph's order."""
    ends = graph_module.graph.find_nodes(op="call_function", target=QUANTIZE)
    found = (_region_at(graph_module, arithmetic, node) for node in ends)
    return [region for region in found if region is not None]


def _region_at(
    graph_module: fx.GraphModule, arithmetic: Arithmetic, output: fx.Node
) -> Region | None:
    """Return the region that ends at a quantize node; ``None``: its input is computed in float."""
    grid, last = grid_of(output), arguments(output)["input"]
    clipped = _clipped(graph_module, last)
    operator = last
    if clipped is not None:
        operator, low, high = clipped
        grid = grid.narrowed(low, high)
    inside = (operator,) if clipped is None else (operator, last)
    if any(len(node.users) != 1 for node in inside):
        return None
    for read in (_layer, _elementwise, _average):
        found = read(graph_module, arithmetic, operator, grid)
        if found is not None:
            return Region(output, found[0], inside, found[1])
    return None


def _clipped(
    graph_module: fx.GraphModule, node: fx.Node
) -> tuple[fx.Node, float | None, float | None] | None:
    if operator_name(node) == "relu":
        return arguments(node)["self"], 0.0, None
    return clipped_input(graph_module, node)


def _layer(
    graph_module: fx.GraphModule, arithmetic: Arithmetic, node: fx.Node, grid: Grid
) -> tuple[tuple[fx.Node, ...], Kernel] | None:
    operator, compute = read_linear_operator(node), arithmetic.layer
    if operator is None or compute is None or not _is_dequantized(operator.input):
        return None
    layer = read_layer(graph_module, operator)
    if layer is None:
        return None

    def kernel(integers: torch.Tensor) -> torch.Tensor:
        return compute(integers, layer, grid)

    return _integers_of(operator.input), kernel


def _elementwise(
    graph_module: fx.GraphModule, arithmetic: Arithmetic, node: fx.Node, grid: Grid
) -> tuple[tuple[fx.Node, ...], Kernel] | None:
    del graph_module
    compute = {"add": arithmetic.add, "mul": arithmetic.multiply}.get(operator_name(node))
    if compute is None:
        return None
    bound = arguments(node)
    left, right = bound["self"], bound["other"]
    if not _is_dequantized(left) or not _is_dequantized(right) or bound.get("alpha", 1) != 1:
        return None
    left_grid, right_grid = grid_of(left), grid_of(right)

    def kernel(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return compute((first, left_grid), (second, right_grid), grid)

    return (*_integers_of(left), *_integers_of(right)), kernel


def _average(
    graph_module: fx.GraphModule, arithmetic: Arithmetic, node: fx.Node, grid: Grid
) -> tuple[tuple[fx.Node, ...], Kernel] | None:
    del graph_module
    compute = arithmetic.average
    if compute is None or operator_name(node) != "mean":
        return None
    bound = arguments(node)
    pixels, dims = bound["self"], bound.get("dim") or ()
    keeps = bool(bound.get("keepdim"))
    if not _is_dequantized(pixels) or not (keeps or arithmetic.flat_averages):
        return None
    if value_of(pixels).ndim != _IMAGE_RANK or sorted(d % _IMAGE_RANK for d in dims) != [2, 3]:
        return None
    pixel_grid = grid_of(pixels)

    def kernel(integers: torch.Tensor) -> torch.Tensor:
        averages = compute((integers, pixel_grid), grid)
        return averages if keeps else averages.flatten(1)

    return _integers_of(pixels), kernel


def _is_dequantized(node: Any) -> bool:
    return isinstance(node, fx.Node) and node.target is DEQUANTIZE


def _integers_of(node: fx.Node) -> tuple[fx.Node]:
    return (arguments(node)["input"],)
