"""Scales of a layer's weights, and what its sums can grow to."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.quantization.decision import INT8_MAX, INT8_MIN, WEIGHT_MAX
from cnn_export.quantization.insertion.integers import bias_integers, weight_integers
from cnn_export.quantization.scheme.observation.scales import SCALE_MIN
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import LinearOperator

BIAS_STEPS_MAX = 2**20
"""A bias in steps of s_x·s_w. ExecuTorch and TFLite take it as a float32 near that grid and round
it themselves, in float32: up to 2^21 steps, their four roundings stay below half a step."""

_RATIO_MIN = 2.0**-31
"""s_x·s_w / s_y: XNNPACK takes 2^-32 and above. A channel so far below a step adds nothing."""

_ACCUMULATOR_MAX = 2**31 - 1


class LayerWeightValues:
    """A layer's stored weights in float64: (out, …), its output channels first, and bias (out,)."""

    def __init__(self, graph_module: fx.GraphModule, layer: LinearOperator) -> None:
        weight = constant(graph_module, layer.weight)
        if weight is None:
            raise ValueError(f"{layer.node.name} has no stored weights")
        self.weight = weight.double().transpose(0, 1) if layer.transposed else weight.double()
        bias = None if layer.bias is None else constant(graph_module, layer.bias)
        size = self.weight.shape[0]
        self.bias = torch.zeros(size, dtype=torch.float64) if bias is None else bias.double()
        self.ranges = self.weight.flatten(1).abs().amax(1)

    def scales(self, input_scale: float, output_scale: float, *, per_tensor: bool) -> torch.Tensor:
        """Return the weights' scales between an integer input and output; (out,), float32.

        ``max|W| / 127``, raised where the bias would be more than :data:`BIAS_STEPS_MAX` steps: the
        weights of such a channel hardly show beside its bias.
        """
        floors = self.bias.abs() / (input_scale * BIAS_STEPS_MAX)
        smallest = _RATIO_MIN * output_scale / input_scale
        return self._rounded((self.ranges / WEIGHT_MAX).maximum(floors), smallest, per_tensor)

    def scales_alone(self, *, per_tensor: bool) -> torch.Tensor:
        """Return the weights' scales where activations are float; (out,), float32."""
        return self._rounded(self.ranges / WEIGHT_MAX, SCALE_MIN, per_tensor)

    def sum_bound(self, input_scale: float, scales: torch.Tensor) -> int:
        """Return what no channel's int32 sum exceeds for any input: ``255·Σ|q_w| + |q_b|``."""
        integers = weight_integers(self.weight, scales, 0).long().flatten(1).abs().sum(1)
        biases = bias_integers(self.bias, input_scale, scales).long().abs()
        return int((integers * (INT8_MAX - INT8_MIN) + biases).max())

    def overflows(self, input_scale: float, scales: torch.Tensor) -> bool:
        """Whether a sum might not fit into 32 bits."""
        return self.sum_bound(input_scale, scales) > _ACCUMULATOR_MAX

    @staticmethod
    def _rounded(scales: torch.Tensor, smallest: float, per_tensor: bool) -> torch.Tensor:
        scales = scales.clamp(min=smallest)
        return (scales.amax().expand_as(scales) if per_tensor else scales).float()
