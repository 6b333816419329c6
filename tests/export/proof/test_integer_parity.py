"""Parity of int8 artifacts: right files pass, anything broken on purpose does not."""

import dataclasses

import numpy as np
import pytest
import torch
from runtime_files import RUNTIMES, Network, decided, session, spelled, traced
from torch import nn
from torch.nn import functional as F

from cnn_export.errors import ParityError
from cnn_export.proof.integer_parity import compared, judge_integers, measure_integers
from cnn_export.proof.parity import Reference
from cnn_export.proof.probes import Probe
from cnn_export.quantization.decision import Decision
from cnn_export.quantization.emulation.emulate import Emulation
from cnn_export.quantization.emulation.kernels.requantization import ratios
from cnn_export.quantization.emulation.layers import accumulate
from cnn_export.quantization.emulation.limits import OutputLimit, output_limits
from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME
from cnn_export.quantization.insertion.decomposed import DEQUANTIZE
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.spelling import Spelling

SPELLING = Spelling("uint8")


@pytest.fixture(scope="module")
def case():
    """A network of two layers and a sum, its decision, and the file that ONNX Runtime runs.

    Scales are powers of two, so that many sums lie exactly between two steps.
    """
    torch.manual_seed(4)
    layers = [nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 5, 1)]
    network = Network((lambda x, f, g: F.relu(f(x)) + g(F.relu(f(x))), layers))
    inputs = torch.randn(2, 3, 37, 23)
    program = traced(network, inputs)
    decision = _in_powers_of_two(decided(program, inputs))
    onnx = RUNTIMES["onnxruntime"]
    run = session(onnx.target, spelled(onnx, program, decision))

    def runs(values):
        return {program.outputs[0].name: run(torch.from_numpy(values["x"]))[0].numpy()}

    return program, decision, runs, inputs


def _in_powers_of_two(decision):
    def power(scale):
        return float(2.0 ** np.round(np.log2(scale)))

    tensors = {
        name: dataclasses.replace(each, scale=power(each.scale))
        for name, each in decision.tensors.items()
    }
    weights = {
        name: dataclasses.replace(each, scales=tuple(power(scale) for scale in each.scales))
        for name, each in decision.weights.items()
    }
    return Decision(tensors, weights)


def _judged(case, decision=None, arithmetic=ONNX_RUNTIME, session=None, change=None):
    """Compare the right file with the emulation of what the other arguments make of its graph."""
    program, right, runs, inputs = case
    graph_module = quantized_graph(program.graph_module, decision or right, SPELLING)
    if change is not None:
        change(graph_module)
    names = [spec.name for spec in program.outputs]
    results = Emulation(graph_module, arithmetic).run([inputs])
    outputs = {name: each.numpy() for name, each in zip(names, results, strict=True)}
    probe = Probe("normal", {"x": inputs.numpy()})
    limits = dict(zip(names, output_limits(graph_module, arithmetic), strict=True))
    expected = [Reference(probe, outputs, {}, "int8")]
    figures = measure_integers(session or runs, program, "nchw", expected, limits)
    judge_integers(figures, "onnx")
    return figures


def _with_layer(case, **changes):
    decision = case[1]
    name = next(iter(decision.weights))
    changed = dataclasses.replace(decision.weights[name], **changes)
    return dataclasses.replace(decision, weights={**decision.weights, name: changed})


def _halves_away(integers, layer, output):
    sums = accumulate(layer, integers)
    scaled = sums.float() * layer.along_channels(ratios(layer, output), sums.ndim)
    rounded = torch.sign(scaled) * (scaled.abs() + 0.5).floor()
    return output.stored(rounded + output.zero_point)


def _biases_in_other_steps(integers, layer, output):
    wrong = dataclasses.replace(layer, bias=(layer.bias * 1.02).round())
    return ONNX_RUNTIME.layer(integers, wrong, output)


def test_the_right_file_is_equal_and_its_limit_says_so(case):
    (figure,) = _judged(case)
    assert (figure.differing, figure.steps, figure.elements) == (0, 0, 2 * 5 * 37 * 23)
    assert figure.figure().limit == 0.0
    assert figure.figure().differing == 0
    assert figure.figure().passed


def test_another_rounding_mode_fails(case):
    broken = dataclasses.replace(ONNX_RUNTIME, layer=_halves_away)
    with pytest.raises(ParityError, match="by up to 1 step"):
        _judged(case, arithmetic=broken)


def test_a_bias_in_other_steps_fails(case):
    broken = dataclasses.replace(ONNX_RUNTIME, layer=_biases_in_other_steps)
    with pytest.raises(ParityError, match="elements differ"):
        _judged(case, arithmetic=broken)


@pytest.mark.parametrize("index", range(5))
def test_a_zero_point_off_by_one_in_one_place_fails(case, index):
    def off(graph_module):
        nodes = graph_module.graph.find_nodes(op="call_function", target=DEQUANTIZE)
        value, scale, zero_point, *rest = nodes[index].args
        nodes[index].args = (value, scale, zero_point - 1, *rest)

    with pytest.raises(ParityError, match="elements differ"):
        _judged(case, change=off)


def test_one_channels_scale_off_fails(case):
    scales = next(iter(case[1].weights.values())).scales
    changed = _with_layer(case, scales=(*scales[:-1], scales[-1] * 1.01))
    with pytest.raises(ParityError, match=r"output 'output' .* the normal probe"):
        _judged(case, changed)


def test_another_runtimes_sum_fails(case):
    broken = dataclasses.replace(ONNX_RUNTIME, add=_sum_of_reals)
    with pytest.raises(ParityError, match="elements differ"):
        _judged(case, arithmetic=broken)


def _sum_of_reals(left, right, output):
    real = sum(grid.centred(integers) * grid.scale for integers, grid in (left, right))
    return ONNX_RUNTIME.quantize(real + 0.5 * output.scale, output)


def test_a_file_that_returns_nan_fails(case):
    _, _, runs, _ = case

    def session(values):
        return {name: np.full_like(value, np.nan) for name, value in runs(values).items()}

    with pytest.raises(ParityError, match="NaN or infinity"):
        _judged(case, session=session)


EQUAL = OutputLimit(0.5, 0, 0.0, 0.0, "all integers")
ONE_STEP = OutputLimit(0.5, 1, 0.01, 0.0, "a softmax inside")
FLOAT = OutputLimit(None, 0, 1.0, 1e-5, "a softmax at the end")


def _figure(changes, limit, dtype=np.float32):
    exact = np.arange(200, dtype=dtype) * dtype(0.5 if dtype is np.float32 else 1)
    actual = exact.copy()
    for index, by in changes.items():
        actual[index] += by
    return compared("normal", "scores", actual, exact, limit)


@pytest.mark.parametrize(
    ("changes", "limit", "passes"),
    [
        ({}, EQUAL, True),
        ({3: 1e-6}, EQUAL, False),
        ({3: 0.5}, EQUAL, False),
        ({3: 0.5, 7: -0.5}, ONE_STEP, True),
        ({3: 0.5, 7: -0.5, 9: 0.5}, ONE_STEP, False),
        ({3: 1.0}, ONE_STEP, False),
        ({100: 1e-4}, FLOAT, True),
        ({100: 1e-2}, FLOAT, False),
        ({100: np.nan}, FLOAT, False),
        ({100: np.nan}, ONE_STEP, False),
        ({100: np.inf}, FLOAT, False),
    ],
)
def test_limits_count_elements_and_steps(changes, limit, passes):
    assert _figure(changes, limit).passed is passes


def test_integers_are_compared_as_integers():
    limit = dataclasses.replace(EQUAL, step=1.0)
    assert _figure({}, limit, np.uint8).passed
    assert not _figure({5: 1}, limit, np.uint8).passed
    assert _figure({5: 1}, limit, np.uint8).steps == 1


def test_other_8_bit_integers_than_the_graphs_are_refused(case):
    program, _, _, inputs = case
    exact = np.zeros((2, 5, 37, 23), np.int8)
    expected = [Reference(Probe("normal", {"x": inputs.numpy()}), {"output": exact}, {}, "int8")]
    with pytest.raises(ParityError, match="uint8 in the artifact and int8"):
        measure_integers(
            lambda _: {"output": exact.astype(np.uint8)},
            program,
            "nchw",
            expected,
            {"output": EQUAL},
        )


def _limit(function, layers, floats=()):
    inputs = torch.randn(1, 3, 5, 7)
    program = traced(Network((function, layers)), inputs)
    decision = decided(program, inputs, floats=floats)
    graph_module = quantized_graph(program.graph_module, decision, SPELLING)
    (limit,) = output_limits(graph_module, ONNX_RUNTIME)
    return limit


def test_known_float_operators_leave_nothing_open():
    limit = _limit(lambda x, f: F.hardswish(f(x)).mean((2, 3)), [nn.Conv2d(3, 4, 1)])
    assert limit.is_equality
    assert "ONNX Runtime" in limit.reason


def test_an_unknown_float_operator_leaves_a_step_and_is_named():
    limit = _limit(lambda x, f, g: g(torch.sigmoid(f(x))), [nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)])
    assert (limit.steps, limit.share) == (1, 0.01)
    assert "sigmoid (sigmoid)" in limit.reason


class _Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.gate, self.last = nn.Conv2d(3, 4, 1), nn.Mish(), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.last(self.gate(self.first(x)))


def test_what_is_left_open_is_named_by_its_module_and_counted():
    inputs = torch.randn(1, 3, 5, 7)
    program = traced(_Named(), inputs)
    graph_module = quantized_graph(program.graph_module, decided(program, inputs), SPELLING)
    (limit,) = output_limits(graph_module, ONNX_RUNTIME)
    assert "mish in gate" in limit.reason
    few = np.arange(60, dtype=np.float32)
    figure = compared("normal", "scores", few + limit.step * (few == 3), few, limit)
    with pytest.raises(
        ParityError, match=r"1 of 60 .*\(limit 1 step in 1% of them, here 0: .*mish in gate"
    ):
        judge_integers([figure], "onnx")


def test_an_output_of_a_float_operator_has_a_float_limit():
    limit = _limit(lambda x, f: F.softmax(f(x), 1), [nn.Conv2d(3, 4, 1)], floats=["softmax"])
    assert limit.step is None
    assert 0 < limit.relative_error < 1e-4
