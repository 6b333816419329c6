"""Seeded inputs in float64 and what the original network answers to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.aliases import written_nodes
from cnn_export.reparam.copies import float64_copy
from cnn_export.reparam.one_thread import one_thread
from cnn_export.reparam.operators import value_of
from cnn_export.reparam.precision import default_dtype, promoted_default, working_dtype

PROBE_BATCH = 2
"""Size of a symbolic dimension: with 1 a mix-up between images would not show."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """Inputs of a graph and the original's outputs, both with the working dtype in float64."""

    inputs: tuple[torch.Tensor, ...]
    outputs: tuple[torch.Tensor, ...]


def make_probe(graph_module: fx.GraphModule, seed: int = 0) -> Probe:
    """Run the network in float64 on seeded inputs. Make it once and hand it to every stage.

    Raises:
        ReparameterizationError: the network mixes float64 with another working dtype.
    """
    dtype = working_dtype(graph_module)
    inputs = probe_inputs(graph_module, dtype, seed)
    with default_dtype(promoted_default(dtype)):
        return Probe(inputs, run(float64_copy(graph_module, dtype), inputs))


def probe_inputs(
    graph_module: fx.GraphModule, dtype: torch.dtype, seed: int
) -> tuple[torch.Tensor, ...]:
    """Return standard normal inputs (floating) or uniform ones (0 … 255 for uint8, else 0 or 1).

    Shapes are the placeholders', symbolic sizes :data:`PROBE_BATCH`; ``dtype`` becomes float64.
    """
    generator = torch.Generator().manual_seed(seed)
    values = [value_of(node) for node in graph_module.graph.nodes if node.op == "placeholder"]
    return tuple(_random(value, dtype, generator) for value in values)


def run(graph_module: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Run a graph without touching ``inputs`` or stored tensors, whatever it writes in place."""
    with torch.no_grad(), one_thread():
        outputs = PureRun(graph_module).run(*(tensor.clone() for tensor in inputs))
    return tuple(outputs)


class PureRun(fx.Interpreter):
    """Runs node by node; stored tensors that the graph writes to are copied first."""

    def __init__(self, graph_module: fx.GraphModule) -> None:
        super().__init__(graph_module)
        self._written = {
            node.target for node in written_nodes(graph_module.graph) if node.op == "get_attr"
        }

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> torch.Tensor:
        """Return the stored tensor, or a copy where the graph writes to it."""
        value: torch.Tensor = super().get_attr(target, args, kwargs)
        return value.clone() if target in self._written else value


def _random(value: torch.Tensor, dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    sizes: list[Any] = list(value.shape)
    shape = [size if isinstance(size, int) else PROBE_BATCH for size in sizes]
    if value.is_floating_point():
        wanted = torch.float64 if value.dtype == dtype else value.dtype
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(wanted)
    bound = 256 if value.dtype == torch.uint8 else 2
    return torch.randint(0, bound, shape, generator=generator).to(value.dtype)
