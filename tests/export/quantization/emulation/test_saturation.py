"""Sums on x86-64 without VNNI: pairs of products that saturate, and which machines have them."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from runtime_files import RUNTIMES, Network, decided, spelled, traced, written
from torch import nn
from torch.nn import functional as F

from cnn_export.quantization.emulation.emulate import Emulation
from cnn_export.quantization.emulation.grid import Grid
from cnn_export.quantization.emulation.host import cpu_flags, saturates
from cnn_export.quantization.emulation.kernels.saturation import saturating_layer
from cnn_export.quantization.emulation.layers import Layer
from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME, ONNX_RUNTIME_WITHOUT_VNNI

QEMU = shutil.which("qemu-x86_64")


def _all_at_once(layer):
    """Make weights large and mostly of one sign, so that pairs leave 16 bits."""
    with torch.no_grad():
        layer.weight.abs_()
        layer.weight[:, ::5] *= -0.3
    return layer


def _networks():
    torch.manual_seed(0)
    return Network(
        (lambda x, f: f(x), [_all_at_once(nn.Conv2d(8, 9, 1))]),
        (lambda x, f: f(x), [_all_at_once(nn.Conv2d(8, 9, 3, (2, 1), padding=(0, 1)))]),
        (lambda x, f: f(x), [_all_at_once(nn.Conv2d(8, 8, 3, dilation=2, padding=2, groups=2))]),
        (lambda x, f: f(x), [_all_at_once(nn.Conv2d(8, 8, 3, padding=1, groups=8))]),
        (lambda x, f: f(x.flatten(1)), [_all_at_once(nn.Linear(8 * 35, 33))]),
        (lambda x, f: f(x), [_all_at_once(nn.Conv2d(8, 16, 3, padding=1, groups=8))]),
    )


BATCHES = (1, 2)
"""One row of a linear layer takes another kernel than two."""


@pytest.fixture(scope="module")
def quantized():
    """Batch → program and inputs."""
    made = {}
    for batch in BATCHES:
        inputs = torch.rand(batch, 8, 7, 5, generator=torch.Generator().manual_seed(1)) * 3 - 0.2
        program = traced(_networks(), inputs)
        decision = decided(program, inputs)
        made[batch] = spelled(RUNTIMES["onnxruntime"], program, decision), inputs
    return made


@pytest.mark.parametrize("batch", BATCHES)
def test_large_weights_saturate_in_all_but_depthwise_layers(quantized, batch):
    program, inputs = quantized[batch]
    exact = Emulation(program.graph_module, ONNX_RUNTIME).run([inputs])
    saturated = Emulation(program.graph_module, ONNX_RUNTIME_WITHOUT_VNNI).run([inputs])
    differ = [not torch.equal(a, b) for a, b in zip(exact, saturated, strict=True)]
    assert differ == [True, True, True, False, True, True]


RUN = """
import sys, numpy, onnxruntime
for stem in sys.argv[1:]:
    session = onnxruntime.InferenceSession(stem + ".onnx", providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: numpy.load(stem + ".npy")}
    numpy.savez(stem + ".npz", *session.run(None, feed))
"""


@pytest.mark.skipif(QEMU is None, reason="qemu-x86_64 emulates processors without VNNI")
@pytest.mark.parametrize(
    ("processor", "arithmetic"),
    [("Haswell", ONNX_RUNTIME_WITHOUT_VNNI), ("Nehalem", ONNX_RUNTIME)],
    ids=["AVX2", "SSE4"],
)
def test_onnx_runtime_on_an_emulated_processor(quantized, processor, arithmetic, tmp_path):
    for batch, (program, inputs) in quantized.items():
        written(RUNTIMES["onnxruntime"].target, program).rename(tmp_path / f"{batch}.onnx")
        np.save(tmp_path / f"{batch}.npy", inputs.numpy())
    stems = [str(tmp_path / str(batch)) for batch in quantized]
    command = [str(QEMU), "-cpu", processor, sys.executable, "-c", RUN, *stems]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    for stem, (program, inputs) in zip(stems, quantized.values(), strict=True):
        emulated = Emulation(program.graph_module, arithmetic).run([inputs])
        with np.load(f"{stem}.npz") as actual:
            for name, each in zip(actual.files, emulated, strict=True):
                np.testing.assert_array_equal(actual[name], each.numpy())


def test_pairs_are_neighbours_within_a_position_of_the_kernel():
    """Against plain loops over the sum, in its order: position by position, channels within."""
    generator = torch.Generator().manual_seed(5)
    weight = torch.randint(60, 128, (3, 5, 2, 3), generator=generator).float()
    weight[1] *= -1
    values = torch.randint(0, 256, (1, 5, 4, 6), generator=generator).to(torch.uint8)
    source = Grid(1.0, 7, 0, 255, torch.uint8)
    options = {"stride": [1, 2], "padding": [1, 0], "dilation": [1, 1], "groups": 1}
    layer = Layer("conv2d", weight, torch.full((3,), 2.0**-8), torch.zeros(3), options, 1, source)
    wide = Grid(1.0, 0, -(2**31), 2**31 - 1, torch.int32)
    actual = saturating_layer(values, layer, wide)
    padded = F.pad(values.int(), (0, 0, 1, 1), value=7).numpy()
    for channel, row, column in np.ndindex(3, 5, 2):
        patch = padded[0, :, row : row + 2, 2 * column : 2 * column + 3]
        products = patch.transpose(1, 2, 0).ravel() * _order(weight[channel])
        pairs = products.reshape(-1, 2).sum(1).clip(-(2**15), 2**15 - 1)
        total = pairs.sum() - 7 * _order(weight[channel]).sum()
        assert actual[0, channel, row, column] == np.rint(np.float32(total) * 2.0**-8)


def _order(weight):
    return weight.numpy().astype(int).transpose(1, 2, 0).ravel()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("sse4_1", False),
        ("sse4_1 avx2 fma", True),
        ("avx2 avx512f avx512bw avx512dq avx512vl", True),
        ("avx2 avx512f avx512bw avx512dq avx512vl avx512_vnni", False),
        ("avx2 avx_vnni", False),
        ("", False),
    ],
)
def test_which_processors_saturate(flags, expected):
    assert saturates(frozenset(flags.split())) is expected


def test_flags_are_read_from_the_first_processor(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nflags\t\t: fpu avx2\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert cpu_flags(path) == {"fpu", "avx2"}
    assert cpu_flags(tmp_path / "none") == frozenset()
