"""The networks whose answers are compared: the float graph, and what a decision makes of it."""

from __future__ import annotations

from cnn_export.program.program import Program
from cnn_export.quantization.accuracy.measurement import Run, module_run
from cnn_export.quantization.decision import Decision
from cnn_export.quantization.dynamic.arithmetic import DynamicArithmetic, DynamicNetwork
from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.emulate import Emulation
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.spelling import Spelling


def float_network(program: Program) -> Run:
    """Return the program in float32."""
    return module_run(program.graph_module, *_names(program))


def int8_network(program: Program, decision: Decision, arithmetic: Arithmetic) -> Run:
    """Return the decided network, float at its border, in a runtime's arithmetic."""
    if isinstance(arithmetic, DynamicArithmetic):
        dynamic = DynamicNetwork(program.graph_module, decision)
        return module_run(dynamic.run, *_names(program))
    # Weights alone are read as the numbers they stand for, once and not at every run.
    spelling = Spelling() if decision.tensors else Spelling(weights="rounded")
    graph_module = quantized_graph(program.graph_module, decision, spelling)
    emulation = Emulation(graph_module, arithmetic)
    return module_run(lambda *inputs: emulation.run(inputs), *_names(program))


def _names(program: Program) -> tuple[list[str], list[str]]:
    return [spec.name for spec in program.inputs], [spec.name for spec in program.outputs]
