"""Run a graph with the roundings of a decision, in floats and with gradients.

Every decided tensor and weight is rounded to its grid and clipped; gradients pass straight through
where nothing was clipped (Bengio et al., arXiv 1308.3432). Between the roundings it is float32
arithmetic: near the integers of a runtime, never equal to them; the emulation is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.quantization.decision import INT8_MAX, INT8_MIN, WEIGHT_MAX, Decision, TensorScale
from cnn_export.quantization.insertion.layers import weight_channel_dim
from cnn_export.reparam.graph.linear_operators import LinearOperator, read_linear_operator


class FakeQuantized(fx.Interpreter):
    """The graph of a decision in floats."""

    def __init__(self, graph_module: fx.GraphModule, decision: Decision) -> None:
        super().__init__(graph_module)
        self.decision = decision

    def run_node(self, n: fx.Node) -> Any:
        """Return the node's value, rounded where the decision says so."""
        layer = read_linear_operator(n) if n.name in self.decision.weights else None
        value = super().run_node(n) if layer is None else self.layer_output(layer)
        scale = self.decision.tensors.get(n.name)
        return value if scale is None else rounded(value, scale)

    def layer_output(self, layer: LinearOperator) -> torch.Tensor:
        """Return what the layer computes of rounded weights and bias, before its own rounding."""
        node, weights = layer.node, self.decision.weights[layer.node.name]
        args, given = self.fetch_args_kwargs_from_env(node)
        arguments: list[Any] = [*args, *[None] * (3 - len(args))]
        kwargs: dict[str, Any] = dict(given)
        for position, key in ((1, "weight"), (2, "bias")):
            arguments[position] = kwargs.pop(key, arguments[position])
        weight = arguments[1]
        scales = torch.tensor(weights.scales, device=weight.device)
        zeros, dim = torch.zeros_like(scales, dtype=torch.int32), weight_channel_dim(layer)
        arguments[1] = torch.fake_quantize_per_channel_affine(
            weight, scales, zeros, dim, -WEIGHT_MAX, WEIGHT_MAX
        )
        arguments[2] = self._bias(layer, arguments[2], scales)
        target: Any = node.target
        return target(*arguments, **kwargs)

    def _bias(
        self, layer: LinearOperator, bias: torch.Tensor | None, scales: torch.Tensor
    ) -> torch.Tensor | None:
        """Return the corrected bias, on the grid that it has beside integer activations."""
        correction = self.decision.weights[layer.node.name].bias_correction
        if correction:
            shift = torch.tensor(correction, device=scales.device)
            bias = shift if bias is None else bias + shift
        input_scale = self.decision.tensors.get(layer.input.name)
        if bias is None or input_scale is None:
            return bias
        steps = scales.double() * input_scale.scale
        on_grid = ((bias.detach().double() / steps).round() * steps).to(bias.dtype)
        return bias + (on_grid - bias.detach())


def rounded(value: torch.Tensor, scale: TensorScale) -> torch.Tensor:
    """Return the values on the grid of ``scale``, clipped to what int8 reaches."""
    return torch.fake_quantize_per_tensor_affine(
        value, scale.scale, scale.zero_point, INT8_MIN, INT8_MAX
    )
