"""ONNX Runtime's arithmetic of dynamic range, in torch: the reference for its files.

The range is that of the whole tensor, zero in it, at every run (ONNX's ``DynamicQuantizeLinear``;
in onnxruntime ``core/providers/cpu/quantization/dynamicquantizelinear.cc`` and
``GetQuantizationParameter`` of ``core/util/qmath.h``)::

    s = (max − min) / 255        z = round(clip(0 − min / s, 0, 255))
    q = clip(round(x / s) + z, 0, 255)
    y = float32(Σ (q − z)·q_w) · (s·s_w) + b

Sums are exact integers; each other operation rounds once, in float32, halves to even.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.quantization.decision import Decision
from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.host import onnx_runtime_here
from cnn_export.quantization.insertion.integers import weight_integers
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import LinearOperator, read_linear_operator
from cnn_export.reparam.graph.operators import arguments, operator_name

LEVELS = 255


class DynamicArithmetic(Arithmetic):
    """An arithmetic whose layers take their input's range when they run."""


_HERE = onnx_runtime_here()
"""Float operators end in other digits on ARM."""

ONNX_DYNAMIC = DynamicArithmetic(
    name="ONNX Runtime with dynamic range",
    quantize=_HERE.quantize,
    layer=None,
    add=None,
    multiply=None,
    floats=_HERE.floats,
)
"""Layers as above; between them floats, in ONNX Runtime's formulas."""


def quantized(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``q − z`` as float64 integers, and the scale (), float32."""
    low, high = x.min().clamp(max=0), x.max().clamp(min=0)
    scale = (high - low) / LEVELS if bool(high > low) else torch.ones(())
    zero_point = (0 - low / scale).clamp(0, LEVELS).round()
    steps = ((x / scale).round() + zero_point).clamp(0, LEVELS)
    return (steps - zero_point).double(), scale


class DynamicNetwork(fx.Interpreter):
    """A float graph whose decided layers compute in integers; one sample at a time."""

    def __init__(self, graph_module: fx.GraphModule, decision: Decision) -> None:
        super().__init__(graph_module)
        self._layers: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for node in graph_module.graph.nodes:
            layer = read_linear_operator(node) if node.name in decision.weights else None
            weight = None if layer is None else constant(graph_module, layer.weight)
            if weight is not None:
                scales = torch.tensor(decision.weights[node.name].scales)
                self._layers[node.name] = weight_integers(weight, scales, 0).double(), scales

    def run_node(self, n: fx.Node) -> Any:
        """Return the node's value as the runtime computes it."""
        if n.name in self._layers:
            layer = read_linear_operator(n)
            if layer is None:
                raise ValueError(f"{n.name} is no layer any more")
            return self._layer(layer)
        formula = ONNX_DYNAMIC.floats.get(operator_name(n)) if n.op == "call_function" else None
        if formula is None:
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        return formula(*args, **kwargs)

    def _layer(self, layer: LinearOperator) -> torch.Tensor:
        weight, scales = self._layers[layer.node.name]
        steps, scale = quantized(self.env[layer.input])
        options = {
            name: value
            for name, value in arguments(layer.node).items()
            if name not in ("input", "weight", "bias")
        }
        target: Any = layer.node.target
        sums = target(steps, weight, None, **options).float()
        shape = [1] * (sums.ndim - 1 - layer.channel_dim)
        result = sums * (scale * scales).reshape(-1, *shape)
        return result if layer.bias is None else result + self.env[layer.bias].reshape(-1, *shape)
