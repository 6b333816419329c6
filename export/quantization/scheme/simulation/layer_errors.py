"""What every layer's integers lose, for people who ask which layer is to blame."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import fx

from cnn_export.quantization.decision import Decision, TensorScale
from cnn_export.quantization.scheme.observation.observe import Batches
from cnn_export.quantization.scheme.observation.statistics import Statistics, TensorStatistics
from cnn_export.quantization.scheme.placement.layer_names import layer_names
from cnn_export.quantization.scheme.placement.operators import (
    IntegerOperator,
    read_integer_operator,
)
from cnn_export.quantization.scheme.simulation.beside_float import BesideFloat


@dataclasses.dataclass(frozen=True)
class LayerError:
    """One layer, sum or product, and the tensor it gives (behind its clip).

    ``range`` is what int8 reaches, ``seen`` what calibration data reached, ``saturated`` the share
    of values more than half a step outside, from 0 to 1. ``snr_db``: power of the float values over
    that of the error there, with all the layers before it in integers too; infinite where both are
    equal. A layer that is not ``integer`` has no ``range`` and saturates nothing, unless its reader
    quantizes it.
    """

    name: str
    node: str
    integer: bool
    range: tuple[float, float] | None
    seen: tuple[float, float]
    saturated: float
    snr_db: float


def layer_errors(
    graph_module: fx.GraphModule, decision: Decision, statistics: Statistics, batches: Batches
) -> tuple[LayerError, ...]:
    """Run the batches in float and in the decision's numbers; return every layer in graph order."""
    shown = {node: name for name, node in layer_names(graph_module).items()}
    outputs = {
        node.name: _output(graph_module, node)
        for node in graph_module.graph.nodes
        if node.name in shown
    }
    errors = _Errors(graph_module, decision, frozenset(outputs.values()))
    for batch in batches():
        errors.run_both(batch)
    return tuple(
        _layer_error(shown[name], name, output, decision, statistics, errors)
        for name, output in outputs.items()
        if output in statistics.tensors
    )


def _output(graph_module: fx.GraphModule, node: fx.Node) -> str:
    operator = read_integer_operator(graph_module, node)
    return (operator.output if isinstance(operator, IntegerOperator) else node).name


def _layer_error(
    shown: str,
    node: str,
    output: str,
    decision: Decision,
    statistics: Statistics,
    errors: _Errors,
) -> LayerError:
    seen, scale = statistics.tensors[output], decision.tensors.get(output)
    return LayerError(
        name=shown,
        node=node,
        integer=node not in decision.kept_float,
        range=None if scale is None else (scale.low, scale.high),
        seen=(seen.low, seen.high),
        saturated=0.0 if scale is None else _saturated(seen, scale),
        snr_db=errors.snr_db(output),
    )


def _saturated(seen: TensorStatistics, scale: TensorScale) -> float:
    """Return the share of values that lose more than rounding: half a step beyond the ends."""
    half = scale.scale / 2
    return seen.share_outside(scale.low - half, scale.high + half)


class _Errors(BesideFloat):
    """Sums the power of values and errors of some nodes."""

    def __init__(
        self, graph_module: fx.GraphModule, decision: Decision, watched: frozenset[str]
    ) -> None:
        super().__init__(graph_module, decision)
        self._powers = dict.fromkeys(watched, (0.0, 0.0))

    def compare(self, n: fx.Node, expected: Any, got: Any) -> None:
        if n.name in self._powers and isinstance(expected, torch.Tensor):
            signal, noise = self._powers[n.name]
            error = (expected - got).double().square().sum().item()
            self._powers[n.name] = (
                signal + expected.double().square().sum().item(),
                noise + error,
            )

    def snr_db(self, name: str) -> float:
        """Return ten times the logarithm of the ratio; −inf for a signal of 0 with an error."""
        signal, noise = self._powers[name]
        if not noise:
            return math.inf
        return 10 * math.log10(signal / noise) if signal else -math.inf
