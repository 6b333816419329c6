"""Seeded inputs in float64 and what the original network answers to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.copies import float64_copy
from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.graph.precision import default_dtype, promoted_default, working_dtype
from cnn_export.reparam.proof.one_thread import one_thread

PROBE_BATCH = 2
"""Size of a symbolic dimension: with 1 a mix-up between images would not show."""

LARGE = 32.0
"""Standard deviation of the large probe: clips and saturates what a normal one leaves linear."""

FLAT = 0.5
"""Value of the constant probe: maps without contrast show what happens at borders."""

Kind = Literal["normal", "large", "constant"]


@dataclasses.dataclass(frozen=True)
class Probe:
    """Inputs of a graph and the original's outputs, both with the working dtype in float64."""

    inputs: tuple[torch.Tensor, ...]
    outputs: tuple[torch.Tensor, ...]


def make_probe(graph_module: fx.GraphModule, seed: int = 0) -> Probe:
    """Run the network in float64 on seeded normal inputs.

    Raises:
        ReparameterizationError: the network mixes float64 with another working dtype.
    """
    return next(_made_probes(graph_module, seed))


def make_probes(graph_module: fx.GraphModule, seed: int = 0) -> tuple[Probe, ...]:
    """Return the normal probe, then a large and a constant one where the network takes them.

    Make them once and hand them to every stage.

    Raises:
        ReparameterizationError: the network mixes float64 with another working dtype.
    """
    return tuple(_made_probes(graph_module, seed))


def _made_probes(graph_module: fx.GraphModule, seed: int) -> Iterator[Probe]:
    dtype = working_dtype(graph_module)
    original = float64_copy(graph_module, dtype)
    for kind in get_args(Kind):
        inputs = probe_inputs(graph_module, dtype, seed, kind)
        try:
            with default_dtype(promoted_default(dtype)):
                probe = Probe(inputs, run(original, inputs))
        except (IndexError, RuntimeError):
            if kind == "normal":
                raise
            continue  # an index out of range, say: this input is none of the network's
        yield probe


def probe_inputs(
    graph_module: fx.GraphModule, dtype: torch.dtype, seed: int, kind: Kind = "normal"
) -> tuple[torch.Tensor, ...]:
    """Return inputs with the placeholders' shapes; symbolic sizes are :data:`PROBE_BATCH`.

    Floating ones are normal, with deviation 1 or :data:`LARGE`, or all :data:`FLAT`; ``dtype``
    becomes float64. Whole numbers are uniform from 0 to 255 (uint8), else 0 or 1; ``large`` ones
    are of 8 bits with their sign, ``constant`` ones 1.
    """
    generator = torch.Generator().manual_seed(seed)
    values = [value_of(node) for node in graph_module.graph.nodes if node.op == "placeholder"]
    return tuple(_made(value, dtype, generator, kind) for value in values)


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


def _made(
    value: torch.Tensor, dtype: torch.dtype, generator: torch.Generator, kind: Kind
) -> torch.Tensor:
    sizes: list[Any] = list(value.shape)
    shape = [size if isinstance(size, int) else PROBE_BATCH for size in sizes]
    if not value.is_floating_point():
        return _whole(shape, value.dtype, generator, kind)
    wanted = torch.float64 if value.dtype == dtype else value.dtype
    if kind == "constant":
        return torch.full(shape, FLAT, dtype=wanted)
    normal = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (normal * (LARGE if kind == "large" else 1.0)).to(wanted)


def _whole(
    shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator, kind: Kind
) -> torch.Tensor:
    if kind == "constant":
        return torch.ones(shape, dtype=dtype)
    low, high = 0, 256 if dtype == torch.uint8 else 2
    if kind == "large" and dtype not in (torch.uint8, torch.bool):
        low, high = -128, 128
    return torch.randint(low, high, shape, generator=generator).to(dtype)
