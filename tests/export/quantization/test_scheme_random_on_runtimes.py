"""Random small networks in int8: a runtime answers what is emulated, as near as parity asks."""

from __future__ import annotations

import effort
import pytest
import torch
from decided import decided
from random_cnn import random_cnn
from runtime_files import RUNTIMES, session, spelled

from cnn_export.errors import OperatorRefused
from cnn_export.program.program import capture
from cnn_export.proof.integer_parity import compared
from cnn_export.quantization.emulation.emulate import emulate
from cnn_export.quantization.emulation.limits import output_limits
from cnn_export.reparam.graph.operators import operator_name

NAMES = tuple(RUNTIMES) if effort.THOROUGH else ("onnxruntime",)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(effort.examples(40)))
def test_a_runtime_answers_what_is_emulated(name: str, seed: int) -> None:
    case, runtime = random_cnn(seed), RUNTIMES[name]
    generator = torch.Generator().manual_seed(seed)
    image = tuple(torch.randn(each.shape, generator=generator) for each in case.inputs)
    found = decided(case.module, [image, tuple(2 * each for each in image)])
    program = capture(case.module, image)
    quantized = spelled(runtime, program.with_graph(found.graph_module), found.decision)
    if "adaptive_max_pool2d" in map(operator_name, quantized.graph_module.graph.nodes):
        with pytest.raises(OperatorRefused):  # no format has it
            session(runtime.target, quantized)
        return
    got = session(runtime.target, quantized)(image[0])
    expected = emulate(quantized.graph_module, image, runtime.arithmetic)
    limits = output_limits(quantized.graph_module, runtime.arithmetic)
    for spec, one, other, limit in zip(program.outputs, got, expected, limits, strict=True):
        figure = compared("random", spec.name, one.numpy(), other.numpy(), limit)
        assert figure.passed, figure
