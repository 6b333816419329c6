"""Outputs of which only rounding is left: differences of values that are equal, up to the last bit.

Such an output has no scale of its own that an error could be relative to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.proof.probe import Probe, PureRun

_ROUNDING = 64 * torch.finfo(torch.float64).eps
"""How large rounding can be, relative to the largest value that an output is computed from."""


def cancelled_output(
    probe: Probe, original: fx.GraphModule, actual: Sequence[torch.Tensor], limit: float
) -> int | None:
    """Return the first output that is rounding in both graphs and off by more than ``limit``.

    ``limit`` is relative to the output's own root mean square. ``None`` if there is none: whatever
    is off has a scale to be judged by. Costs one forward of ``original``.
    """
    scales = _scales(original, probe.inputs)
    triples = zip(probe.outputs, actual, scales, strict=False)
    for index, (expected, other, scale) in enumerate(triples):
        if not expected.is_floating_point() or expected.shape != other.shape:
            continue
        rounding = _ROUNDING * scale
        both = max(_largest(expected), _largest(other))
        off = _largest(expected.double() - other.double())
        rms = float(expected.double().square().mean().sqrt())
        if both <= rounding and off > limit * rms:
            return index
    return None


def _scales(graph_module: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> list[float]:
    """Return, per output, the largest finite magnitude of all that it is computed from."""
    run = _Magnitudes(graph_module)
    with torch.no_grad():
        run.run(*(tensor.clone() for tensor in inputs))
    outputs: Any = graph_module.graph.output_node().args[0]
    return [run.reached.get(node, 0.0) for node in outputs]


class _Magnitudes(PureRun):
    """Notes for every node the largest finite magnitude of itself and all before it."""

    def __init__(self, graph_module: fx.GraphModule) -> None:
        super().__init__(graph_module)
        self.reached: dict[fx.Node, float] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node and note its magnitude."""
        value = super().run_node(n)
        own = _largest(value) if isinstance(value, torch.Tensor) else 0.0
        self.reached[n] = max((self.reached[each] for each in n.all_input_nodes), default=0.0)
        self.reached[n] = max(self.reached[n], own)
        return value


def _largest(value: torch.Tensor) -> float:
    finite = value[value.isfinite()]
    return float(finite.double().abs().max()) if finite.numel() else 0.0
