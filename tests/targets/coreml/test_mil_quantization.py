"""Quantize and dequantize of MIL by their formulas, and an int8 package by its emulation."""

from collections import Counter

import networks
import numpy as np
import pytest
import torch
from mil_checks import CHANNEL, check_case, ct, evaluate_cases, mb, t

from cnn_export.errors import UsageError
from cnn_export.job.legalization import legalize
from cnn_export.program.program import capture
from cnn_export.quantization.emulation.core_ml import CORE_ML
from cnn_export.quantization.emulation.emulate import emulate
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.scheme.decide import decide
from cnn_export.quantization.scheme.observation.observe import observe
from cnn_export.reparam import reparameterize_graph
from cnn_export.targets.coreml.saved_program import read_program
from cnn_export.targets.coreml.target import CoreML
from cnn_export.targets.legalizations import INT8
from cnn_export.targets.options import TargetOptions

SCALES = np.abs(CHANNEL) / 50 + np.float32(0.01)
POINTS = np.arange(-3, 3, dtype=np.int8)
WEIGHTS = np.arange(-90, 90, dtype=np.int8).reshape(6, 5, 6)


def _clipped(steps, low=-128, high=127):
    return steps.round().clamp(low, high)


def _real(x, **options):
    """Return quantized values as floats, so that they can be an output."""
    integers = mb.quantize(input=x, output_dtype=options.pop("dtype", "int8"), **options)
    return mb.cast(x=integers, dtype="fp32")


def _there_and_back(x, **options):
    return mb.dequantize(input=mb.quantize(input=x, output_dtype="int8", **options), **options)


CASES = {
    "quantize": (
        lambda x: _real(x, scale=np.float32(0.0078125)),
        lambda x: _clipped(x / 0.0078125),
    ),
    "quantize halves": (
        lambda x: _real(mb.round(x=mb.mul(x=x, y=np.float32(8))), scale=np.float32(2)),
        lambda x: _clipped((x * 8).round() / 2),
    ),
    "quantize uint8": (
        lambda x: _real(x, dtype="uint8", scale=np.float32(0.015625), zero_point=np.uint8(131)),
        lambda x: _clipped((x / 0.015625).round() + 131, 0, 255),
    ),
    "dequantize per channel": (
        lambda x: _there_and_back(x, scale=SCALES, zero_point=POINTS, axis=np.int32(1)),
        lambda x: (
            (
                (_clipped((x / t(SCALES).reshape(-1, 1, 1)).round() + t(POINTS).reshape(-1, 1, 1)))
                - t(POINTS).reshape(-1, 1, 1)
            )
            * t(SCALES).reshape(-1, 1, 1)
        ),
    ),
    "constexpr_affine_dequantize": (
        lambda x: mb.add(
            x=mb.reduce_sum(x=x, axes=[0, 1, 2, 3], keep_dims=False),
            y=mb.constexpr_affine_dequantize(
                quantized_data=WEIGHTS, zero_point=POINTS, scale=SCALES, axis=np.int32(0)
            ),
        ),
        lambda x: (
            x.sum()
            + (t(WEIGHTS) - t(POINTS).reshape(-1, 1, 1)).double() * t(SCALES).reshape(-1, 1, 1)
        ),
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    package = tmp_path_factory.mktemp("mil") / "quantization.mlpackage"
    return evaluate_cases(CASES, package, ct.target.iOS17)


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])


@pytest.fixture(scope="module")
def quantized():
    torch.manual_seed(5)
    program = capture(networks.small_net(), (torch.randn(1, 3, 13, 10),))
    reparameterize_graph(program.graph_module)
    program = legalize(program, {"all": INT8}, "int8")["all"].program
    images = [(torch.randn(1, 3, 13, 10),) for _ in range(8)]
    decision = decide(program.graph_module, observe(program.graph_module, lambda: images))
    return program.with_graph(quantized_graph(program.graph_module, decision, CoreML.spelling))


def test_an_int8_package_equals_its_emulation(quantized, tmp_path):
    path = tmp_path / "int8.mlpackage"
    CoreML().export(quantized, TargetOptions(precision="int8"), path)
    image = torch.randn(1, 3, 13, 10)
    actual = CoreML().load(path)({"image": image.numpy()})
    expected = emulate(quantized.graph_module, (image,), CORE_ML)
    np.testing.assert_array_equal(actual["output_0"], expected[0].numpy())
    np.testing.assert_allclose(actual["output_1"], expected[1].numpy(), rtol=1e-6)
    kinds = Counter(each.kind for each in read_program(path).operations)
    assert kinds["constexpr_affine_dequantize"] == kinds["conv"] + kinds["linear"] == 3
    assert kinds["quantize"] > 0


def test_older_systems_are_refused():
    options = TargetOptions(precision="int8", minimum_deployment_target="macOS13")
    with pytest.raises(UsageError, match=r"macOS13 has no int8 activations; take iOS17, macOS14"):
        CoreML().refuse_options(options)
    CoreML().refuse_options(TargetOptions(precision="int8", minimum_deployment_target="watchOS10"))
