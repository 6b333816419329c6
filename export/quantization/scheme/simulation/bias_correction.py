"""Correct biases by what rounding shifts the mean of every output channel.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV 2019,
arXiv 1906.04721), section 4.2, the empirical form: layer after layer, each behind corrected ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import torch
from torch import fx

from cnn_export.quantization.decision import Decision
from cnn_export.quantization.scheme.observation.observe import Batches
from cnn_export.quantization.scheme.simulation.beside_float import BesideFloat
from cnn_export.quantization.scheme.weights import BIAS_STEPS_MAX
from cnn_export.reparam.graph.linear_operators import LinearOperator

SAMPLES = 32
"""Every sample gives a mean over a map; the differences between means of more are small."""

_STEPS_MAX = 2 * BIAS_STEPS_MAX


def correct_biases(
    graph_module: fx.GraphModule, decision: Decision, batches: Batches, samples: int = SAMPLES
) -> Decision:
    """Return the decision with a bias correction for every integer layer.

    The first ``samples`` of the data run through the float graph and the decided one at once.
    """
    corrector = _Corrector(graph_module, decision)
    corrector.run_both(_first(batches(), samples))
    weights = {
        name: dataclasses.replace(each, bias_correction=corrector.corrections.get(name, ()))
        for name, each in decision.weights.items()
    }
    return dataclasses.replace(decision, weights=weights)


def _first(batches: Iterable[Sequence[torch.Tensor]], samples: int) -> list[torch.Tensor]:
    """Return the first samples as one batch: one sweep then corrects layer after layer."""
    parts: list[Sequence[torch.Tensor]] = []
    for batch in batches:
        parts.append(batch)
        samples -= len(batch[0])
        if samples <= 0:
            break
    whole = [torch.cat(columns) for columns in zip(*parts, strict=True)]
    return whole if samples >= 0 else [each[:samples] for each in whole]


class _Corrector(BesideFloat):
    """Moves every layer's output channels to their mean in float while running."""

    def __init__(self, graph_module: fx.GraphModule, decision: Decision) -> None:
        super().__init__(graph_module, decision)
        self.corrections: dict[str, tuple[float, ...]] = {}

    def layer_output(self, layer: LinearOperator) -> torch.Tensor:
        """Return the layer's output with its channels' means corrected."""
        got = super().layer_output(layer)
        input_scale = self.decision.tensors.get(layer.input.name)
        if input_scale is None:
            return got
        difference = (self.float_value(layer.node).double() - got.double()).movedim(
            layer.channel_dim, 0
        )
        shift = difference.flatten(1).mean(1)
        # A bias that is mostly correction means a channel that rounding has destroyed: it stays.
        steps = torch.tensor(self.decision.weights[layer.node.name].scales).double()
        shift[shift.abs() > steps * input_scale.scale * (_STEPS_MAX - BIAS_STEPS_MAX)] = 0
        self.corrections[layer.node.name] = tuple(shift.tolist())
        shape = [1] * (got.ndim - 1 - layer.channel_dim)
        return got + shift.float().reshape(-1, *shape)
