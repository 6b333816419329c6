"""Run a quantized graph in a runtime's arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg

from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.grid import grid_of
from cnn_export.quantization.emulation.regions import regions
from cnn_export.quantization.insertion.decomposed import DEQUANTIZE, QUANTIZE
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import arguments, operator_name

Values = dict[fx.Node, Any]


def emulate(
    quantized_graph_module: fx.GraphModule,
    inputs: Sequence[torch.Tensor],
    arithmetic: Arithmetic,
) -> tuple[torch.Tensor, ...]:
    """Return the graph's outputs as the runtime computes them, in the dtypes that the graph says.

    ``inputs`` are its placeholders', in order, float32 or integers; any batch that it takes. What
    is not integer arithmetic runs in float32, by the runtime's formula where one is known.
    """
    return Emulation(quantized_graph_module, arithmetic).run(inputs)


class Emulation:
    """A graph with its integer regions found, and its layers read, once for many inputs."""

    def __init__(self, quantized_graph_module: fx.GraphModule, arithmetic: Arithmetic) -> None:
        self._graph_module = quantized_graph_module
        self._arithmetic = arithmetic
        self._regions = {
            region.output: region for region in regions(quantized_graph_module, arithmetic)
        }
        self._steps = self._needed()
        self._last_reader = {read: step for step in self._steps for read in self._reads(step)}

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Compute the outputs; what nothing reads any more is let go."""
        values: Values = {}
        kept = set(self._outputs())
        placeholders = self._graph_module.graph.find_nodes(op="placeholder")
        values.update(zip(placeholders, inputs, strict=True))
        with torch.no_grad():
            for node in self._steps:
                values[node] = self._value(node, values)
                for read in self._reads(node):
                    if self._last_reader[read] is node and read not in kept:
                        values.pop(read, None)
        return tuple(values[node] for node in self._outputs())

    def _outputs(self) -> list[fx.Node]:
        results: Any = self._graph_module.graph.output_node().args[0]
        return list(results)

    def _needed(self) -> list[fx.Node]:
        """Return the calls that the outputs rest on, in order, without the insides of regions."""
        wanted = set(self._outputs())
        steps: list[fx.Node] = []
        for node in reversed(self._graph_module.graph.nodes):
            if node in wanted and node.op != "placeholder":
                steps.append(node)
                wanted.update(self._reads(node))
        return steps[::-1]

    def _reads(self, node: fx.Node) -> tuple[fx.Node, ...]:
        region = self._regions.get(node)
        return tuple(node.all_input_nodes) if region is None else region.reads

    def _value(self, node: fx.Node, values: Values) -> Any:
        if node.op == "get_attr":
            return constant(self._graph_module, node)
        region = self._regions.get(node)
        if region is not None:
            return region.kernel(*(values[read] for read in region.reads))
        if node.target is QUANTIZE:
            return self._arithmetic.quantize(values[arguments(node)["input"]], grid_of(node))
        if node.target is DEQUANTIZE:
            grid = grid_of(node)
            return grid.centred(values[arguments(node)["input"]]) * grid.scale
        return self._float_value(node, values)

    def _float_value(self, node: fx.Node, values: Values) -> Any:
        args: Any = map_arg(node.args, values.__getitem__)
        kwargs: Any = map_arg(node.kwargs, values.__getitem__)
        target: Any = node.target
        function: Callable[..., Any] = self._arithmetic.floats.get(operator_name(node), target)
        return function(*args, **kwargs)
