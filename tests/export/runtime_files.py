"""Small quantized graphs, and the files that the runtimes compute them from."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from cnn_export.program.program import Program, capture
from cnn_export.quantization.decision import Decision, LayerWeights, TensorScale
from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.emulate import emulate
from cnn_export.quantization.emulation.executorch import EXECUTORCH
from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME
from cnn_export.quantization.emulation.xnnpack import XNNPACK
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.reparam.graph.linear_operators import read_linear_operator
from cnn_export.targets.base import Target
from cnn_export.targets.executorch.target import ExecuTorch
from cnn_export.targets.onnx.target import Onnx
from cnn_export.targets.options import TargetOptions
from cnn_export.targets.tflite.target import TFLite

FUSED = ("relu", "relu6", "hardtanh", "clamp")
"""How the names of nodes begin that a layer or sum before them computes as well."""

SHARED = ("slice", "cat", "max_pool", "pad", "flatten", "permute", "view")
"""How the names of nodes begin that move integers and keep their scale."""

Run = Callable[[torch.Tensor], list[torch.Tensor]]


class Network(nn.Module):
    """Functions of one input, each over layers of its own; one output for each."""

    def __init__(self, *parts: tuple[Callable[..., torch.Tensor], Sequence[nn.Module]]):
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList(layers) for _, layers in parts)
        self.functions = [function for function, _ in parts]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pairs = zip(self.functions, self.layers, strict=True)
        return tuple(function(x, *layers) for function, layers in pairs)


def float32(value: float | torch.Tensor) -> float:
    return torch.as_tensor(value, dtype=torch.float32).item()


def decided(program: Program, inputs: torch.Tensor, *, floats: Sequence[str] = ()) -> Decision:
    """Make every tensor int8 over its own range; names that begin as in ``floats`` stay float."""
    values: dict[str, torch.Tensor] = {}

    class Record(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> torch.Tensor:
            value = super().run_node(n)
            values[n.name] = value
            return value

    with torch.no_grad():
        Record(program.graph_module).run(inputs)
    tensors: dict[str, TensorScale] = {}
    weights: dict[str, LayerWeights] = {}
    for node in program.graph_module.graph.nodes:
        operator = read_linear_operator(node) if node.op == "call_function" else None
        if operator is not None and not node.name.startswith(tuple(floats)):
            weight = values[operator.weight.name]
            rows = weight.transpose(0, 1) if operator.transposed else weight
            scales = rows.abs().flatten(1).amax(1) / 127
            weights[node.name] = LayerWeights(tuple(float32(scale) for scale in scales))
        fused = any(user.name.startswith(FUSED) for user in node.users)
        kept = node.name.startswith(tuple(floats))
        if node.op == "placeholder" or (node.op == "call_function" and not fused and not kept):
            shared = node.name.startswith(SHARED) and node.all_input_nodes[0].name
            tensors[node.name] = tensors[shared] if shared else observed(values[node.name])
    return Decision(tensors, weights)


def observed(value: torch.Tensor) -> TensorScale:
    """Return the scale of the values' range, with zero in it."""
    low, high = min(float(value.min()), 0.0), max(float(value.max()), 0.0)
    scale = float32((high - low) / 255)
    return TensorScale(scale, max(-128, min(127, round(-128 - low / scale))), "observed")


def traced(module: nn.Module, inputs: torch.Tensor, *, dynamic_batch: bool = False) -> Program:
    return capture(module.eval(), (inputs,), dynamic_batch=dynamic_batch)


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A format, and the arithmetic of what runs it."""

    target: Target
    arithmetic: Arithmetic


RUNTIMES = {
    "onnxruntime": Runtime(Onnx(), ONNX_RUNTIME),
    "executorch": Runtime(ExecuTorch(), EXECUTORCH),
    "tflite": Runtime(TFLite(), XNNPACK),
}


def written(target: Target, program: Program) -> Path:
    """Export a quantized program into a folder of its own."""
    path = Path(tempfile.mkdtemp()) / f"network{target.suffix}"
    target.export(program, TargetOptions(precision="int8"), path)
    return path


def session(target: Target, program: Program) -> Run:
    """Export a quantized program and load the file in its runtime."""
    run, names = target.load(written(target, program)), [spec.name for spec in program.outputs]
    name = program.inputs[0].name

    def outputs(x: torch.Tensor) -> list[torch.Tensor]:
        results = run({name: x.numpy()})
        return [torch.from_numpy(results[each]) for each in names]

    return outputs


def both(
    runtime: Runtime, program: Program, decision: Decision, inputs: torch.Tensor
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return what the runtime and its emulation compute, output by output."""
    quantized = spelled(runtime, program, decision)
    emulated = emulate(quantized.graph_module, (inputs,), runtime.arithmetic)
    return session(runtime.target, quantized)(inputs), list(emulated)


def spelled(runtime: Runtime, program: Program, decision: Decision) -> Program:
    """Return the program with the decision in its graph, as the format wants it."""
    spelling = runtime.target.spelling
    return program.with_graph(quantized_graph(program.graph_module, decision, spelling))
