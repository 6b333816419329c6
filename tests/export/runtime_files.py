"""Small quantized graphs, and the files that the runtimes compute them from."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cnn_export.program.program import Program, capture
from cnn_export.quantization.decision import Decision, LayerWeights, TensorScale
from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.emulate import emulate
from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME
from cnn_export.quantization.emulation.xnnpack import XNNPACK
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.spelling import Spelling
from cnn_export.reparam.graph.linear_operators import read_linear_operator
from cnn_export.targets.executorch.target import ExecuTorch
from cnn_export.targets.onnx.runtime import import_onnxruntime
from cnn_export.targets.options import TargetOptions

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


def onnx_bytes(program: Program) -> bytes:
    """Convert with torch's exporter."""
    converted = torch.onnx.export(
        program.exported, (), dynamo=True, verbose=False, opset_version=20
    )
    assert converted is not None
    return converted.model_proto.SerializeToString()


def onnx_session(program: Program, threads: int = 1) -> Run:
    """Load what torch's exporter writes in ONNX Runtime."""
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(onnx_bytes(program), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: [torch.from_numpy(each) for each in session.run(None, {name: x.numpy()})]


def executorch_session(program: Program) -> Run:
    """Lower to XNNPACK and load in ExecuTorch."""
    target, name = ExecuTorch(), program.inputs[0].name
    path = Path(tempfile.mkdtemp()) / "network.pte"
    target.export(program, TargetOptions(), path)
    session = target.load(path)
    return lambda x: [torch.from_numpy(each) for each in session({name: x.numpy()}).values()]


def tflite_session(program: Program, threads: int = 1) -> Run:
    """Convert with litert-torch and load in LiteRT with XNNPACK; integers at both ends.

    What the float ends of the graph do beside is done here: quantize by x·(1/s), dequantize.
    """
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter
    from litert_torch.progress import config
    from litert_torch.quantize import pt2e_quantizer, quant_config

    config.show_progress = False
    recipe = pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True)
    # A quantizer switches the converter's reading of quantize and dequantize to static.
    quantizer = pt2e_quantizer.PT2EQuantizer().set_global(recipe)
    model = litert_torch.convert(
        program.graph_module,
        program.example_inputs,
        quant_config=quant_config.QuantConfig(pt2e_quantizer=quantizer),
    )
    interpreter = Interpreter(model_content=model._exporter.to_bytes(), num_threads=threads)
    runner = interpreter.get_signature_runner()
    (name, source), results = *runner.get_input_details().items(), runner.get_output_details()

    def run(x: torch.Tensor) -> list[torch.Tensor]:
        scale, zero = source["quantization"]
        steps = np.rint(x.numpy() * (np.float32(1) / np.float32(scale))) + zero
        outputs = runner(**{name: steps.clip(-128, 127).astype(np.int8)})
        ordered = sorted(results, key=lambda output: int(output.removeprefix("output_")))
        return [_real(outputs[each], *results[each]["quantization"]) for each in ordered]

    return run


def _real(integers: np.ndarray, scale: float, zero: int) -> torch.Tensor:
    real = (integers.astype(np.float32) - np.float32(zero)) * np.float32(scale)
    return torch.from_numpy(real)


@dataclasses.dataclass(frozen=True)
class Runtime:
    """How a converter wants its graph, how its file is made and run, and its arithmetic."""

    spelling: Spelling
    session: Callable[..., Run]
    arithmetic: Arithmetic


RUNTIMES = {
    "onnxruntime": Runtime(Spelling("uint8"), onnx_session, ONNX_RUNTIME),
    "executorch": Runtime(Spelling(biases="float"), executorch_session, XNNPACK),
    "tflite": Runtime(Spelling(weights="requantized", biases="float"), tflite_session, XNNPACK),
}


def both(
    runtime: Runtime, program: Program, decision: Decision, inputs: torch.Tensor, **options: int
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return what the runtime and its emulation compute, output by output."""
    graph_module = quantized_graph(program.graph_module, decision, runtime.spelling)
    run = runtime.session(program.with_graph(graph_module), **options)
    return run(inputs), list(emulate(graph_module, (inputs,), runtime.arithmetic))
