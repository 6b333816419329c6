"""What rounding does to the weights of each layer, for people who ask which layer is to blame."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import fx

from cnn_export.quantization.decision import Decision
from cnn_export.quantization.insertion.integers import along, weight_integers
from cnn_export.quantization.scheme.placement.layer_names import layer_names
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import LinearOperator, read_linear_operator

_FLOAT_BYTES, _SCALE_BYTES = 4, 4


@dataclasses.dataclass(frozen=True)
class WeightError:
    """One layer: ``largest`` magnitude of its weights, and what is stored of them.

    ``snr_db``: power of the weights over that of their rounding, infinite where nothing is rounded,
    ``None`` where they stay float. ``bytes`` are those of the integers and their scales.
    """

    name: str
    channels: int
    largest: float
    snr_db: float | None
    bytes: int
    float_bytes: int


def weight_errors(graph_module: fx.GraphModule, decision: Decision) -> tuple[WeightError, ...]:
    """Return every layer with stored weights, in the graph's order."""
    shown = {node: name for name, node in layer_names(graph_module).items()}
    return tuple(
        _weight_error(shown[node.name], layer, weight, decision)
        for node in graph_module.graph.nodes
        if (layer := read_linear_operator(node)) is not None
        and (weight := constant(graph_module, layer.weight)) is not None
    )


def _weight_error(
    name: str, layer: LinearOperator, weight: torch.Tensor, decision: Decision
) -> WeightError:
    dim, weight = int(layer.transposed), weight.detach().double()
    decided = decision.weights.get(layer.node.name)
    float_bytes = _FLOAT_BYTES * weight.numel()
    snr, stored = None, float_bytes
    if decided is not None:
        scales = torch.tensor(decided.scales)
        steps = along(scales.double(), dim, weight.ndim)
        snr = _snr_db(weight, weight_integers(weight, scales, dim) * steps)
        stored = weight.numel() + _SCALE_BYTES * len(decided.scales)
    largest = float(weight.abs().max())
    return WeightError(name, weight.shape[dim], largest, snr, stored, float_bytes)


def _snr_db(weight: torch.Tensor, rounded: torch.Tensor) -> float:
    noise = float((weight - rounded).square().sum())
    signal = float(weight.square().sum())
    return 10 * math.log10(signal / noise) if noise and signal else math.inf
