"""What an int8 job does to a graph: watch, decide, write the decision down, and emulate it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast, get_args

import torch
from torch import fx, nn

from cnn_export.job.int8.forms import ARITHMETICS
from cnn_export.program.program import Program, capture
from cnn_export.quantization import prepare
from cnn_export.quantization.accuracy.float_layers.layer_costs import layer_costs
from cnn_export.quantization.decision import Decision
from cnn_export.quantization.dynamic.arithmetic import DynamicNetwork
from cnn_export.quantization.dynamic.limits import dynamic_limits
from cnn_export.quantization.emulation.emulate import emulate
from cnn_export.quantization.emulation.limits import output_limits
from cnn_export.quantization.scheme.decide import decide
from cnn_export.quantization.scheme.decide_weights import decide_weights
from cnn_export.quantization.scheme.observation.observe import observe
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.quantization.scheme.placement.layer_names import layer_names
from cnn_export.quantization.scheme.simulation.bias_correction import correct_biases
from cnn_export.quantization.scheme.simulation.layer_errors import layer_errors
from cnn_export.quantization.scheme.simulation.weight_errors import weight_errors
from cnn_export.quantization.spelling import Border, Spelling
from cnn_export.quantization.stage.border_program import spelled_program
from cnn_export.reparam.stage import reparameterize_graph

Job = Callable[[], object]
_SPELLINGS = (
    Spelling("uint8", "constant", "int32"),
    Spelling("int8", "requantized", "float"),
    Spelling("int8", "rounded", "float"),
)


def int8_jobs(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Iterator[Job]:
    """Yield everything that an int8 job does to the graph of ``module``."""
    program = capture(module.eval(), inputs, dynamic_batch=False)
    reparameterize_graph(program.graph_module)
    batches = [tuple(torch.randn_like(each) for each in inputs) for _ in range(3)]
    graph_module = program.graph_module
    statistics = observe(graph_module, lambda: batches)
    yield lambda: observe(graph_module, lambda: batches)
    for ranges in ("minmax", "mse", "percentile"):
        options = SchemeOptions(ranges=ranges)
        yield lambda options=options: decide(graph_module, statistics, options)
    yield lambda: decide_weights(graph_module)
    decision = decide(graph_module, statistics)
    yield lambda: layer_errors(graph_module, decision, statistics, lambda: batches)
    yield lambda: weight_errors(graph_module, decision)
    yield lambda: correct_biases(graph_module, decision, lambda: batches)
    yield lambda: layer_costs(
        graph_module, {node: name for name, node in layer_names(graph_module).items()}
    )
    yield lambda: dynamic_limits(graph_module, decide_weights(graph_module))
    yield lambda: DynamicNetwork(graph_module, decide_weights(graph_module)).run(*batches[0])
    yield lambda: prepare(module, inputs, batches)
    for spelling in _SPELLINGS:
        for border in cast("tuple[Border, ...]", get_args(Border)):
            yield lambda s=spelling, b=border: spelled_program(program, decision, s, b)
    yield from _emulated(program, decision, batches[0])


def _emulated(
    program: Program, decision: Decision, inputs: tuple[torch.Tensor, ...]
) -> Iterator[Job]:
    for arithmetic in ARITHMETICS.values():
        spelled = spelled_program(program, decision, _SPELLINGS[0], "float").graph_module

        def emulated(spelled: fx.GraphModule = spelled, arithmetic=arithmetic) -> object:
            output_limits(spelled, arithmetic)
            return emulate(spelled, inputs, arithmetic)

        yield emulated
