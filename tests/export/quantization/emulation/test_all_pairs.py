"""Sums and products of all pairs of 8-bit integers: the runtimes and the emulation."""

import numpy as np
import pytest
import torch
from runtime_files import RUNTIMES, float32, spelled, written
from torch import nn

from cnn_export.program.program import capture
from cnn_export.quantization.decision import Decision, TensorScale
from cnn_export.quantization.emulation.emulate import Emulation
from cnn_export.quantization.emulation.grid import Grid
from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME
from cnn_export.quantization.emulation.onnx_runtime_arm import ONNX_RUNTIME_ARM


class _SumAndProduct(nn.Module):
    def forward(self, left, right):
        return left + right, left * right


SCALES = {
    "plain": ((0.307, -11), (0.444, 33), (0.7297, -15), (8.24, 111)),
    "far apart": ((2.03, 95), (0.0071, -128), (1.77, 100), (0.0193, -90)),
    "in simple ratios": ((0.5, -3), (0.25, 8), (0.5, -1), (4.0, 0)),
}
"""Scale and zero point of left, right, sum and product."""


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("scales", SCALES)
def test_every_pair_is_equal(scales, runtime):
    decided = [TensorScale(float32(scale), zero, "") for scale, zero in SCALES[scales]]
    steps = torch.arange(-128.0, 128.0)
    left = ((steps - decided[0].zero_point) * decided[0].scale)[:, None].repeat(1, 256)
    right = ((steps - decided[1].zero_point) * decided[1].scale)[None].repeat(256, 1)
    program = capture(_SumAndProduct(), (left, right))
    decision = Decision(dict(zip(("left", "right", "add", "mul"), decided, strict=True)), {})
    chosen = RUNTIMES[runtime]
    program = spelled(chosen, program, decision)
    run = chosen.target.load(written(chosen.target, program))
    actual = run({"left": left.numpy(), "right": right.numpy()})
    emulated = Emulation(program.graph_module, chosen.arithmetic).run([left, right])
    for spec, each in zip(program.outputs, emulated, strict=True):
        np.testing.assert_array_equal(actual[spec.name], each.numpy())
        assert len(each.unique()) > 100


def _grid(scale, zero_point):
    return Grid(float.fromhex(scale), zero_point, 0, 255, torch.uint8)


FIRST = (
    _grid("0x1.3a9fd0p-2", 161),
    _grid("0x1.c6d8e0p-2", 139),
    _grid("0x1.759daap-1", 143),
)
SECOND = (
    _grid("0x1.92250cp-2", 224),
    _grid("0x1.477736p-3", 34),
    _grid("0x1.b2738ep-2", 148),
)


@pytest.mark.parametrize(
    ("grids", "left", "right", "on_arm", "on_x86"),
    [
        (FIRST, 93, 223, 165, 166),
        (FIRST, 112, 223, 173, 174),
        (FIRST, 210, 55, 113, 112),
        (SECOND, 138, 90, 89, 90),
    ],
)
def test_sums_that_onnx_runtime_rounds_otherwise_on_arm(grids, left, right, on_arm, on_x86):
    """All four of 2 · 65536 pairs that differed, from ONNX Runtime 1.32 on ARM64 under qemu."""
    pairs = [
        (torch.tensor([value], dtype=torch.uint8), grid)
        for value, grid in zip((left, right), grids[:2], strict=True)
    ]
    assert ONNX_RUNTIME_ARM.add(*pairs, grids[2]).item() == on_arm
    assert ONNX_RUNTIME.add(*pairs, grids[2]).item() == on_x86


@pytest.mark.parametrize(
    ("name", "x", "on_arm"),
    [
        ("hardswish", "0x1.cbe8a0p+0", "0x1.6fa8fap+0"),
        ("hardswish", "-0x1.bcedf8p-1", "-0x1.3c0c40p-2"),
        ("hardsigmoid", "0x1.13e8aep-1", "0x1.2dfc1ep-1"),
        ("hardsigmoid", "-0x1.880a3cp+0", "0x1.f547aep-3"),
    ],
)
def test_floats_that_onnx_runtime_fuses_on_arm(name, x, on_arm):
    """From the same run, where 16 % of numbers differ from x86-64 in their last bit."""
    value = torch.tensor([float.fromhex(x)])
    assert ONNX_RUNTIME_ARM.floats[name](value).item() == float.fromhex(on_arm)
    assert ONNX_RUNTIME.floats[name](value).item() != float.fromhex(on_arm)


def test_a_sum_of_onnx_runtime_depends_on_the_spelling_of_its_integers():
    """So a file with uint8 activations is compared with the graph that says uint8.

    ``test_every_pair_is_equal`` has this pair, and ONNX Runtime's answer, 64 and 128.
    """
    grids = SCALES["far apart"][:3]
    sums: list[int] = []
    for dtype, offset in ((torch.int8, 0), (torch.uint8, 128)):
        info = torch.iinfo(dtype)
        left, right, output = (
            Grid(float32(scale), zero + offset, info.min, info.max, dtype) for scale, zero in grids
        )
        first, second = (torch.tensor([q + offset], dtype=dtype) for q in (63, -78))
        (position,) = ONNX_RUNTIME.add((first, left), (second, right), output).tolist()
        sums.append(position - offset)
    assert sums == [63, 64]
