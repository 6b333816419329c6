"""Scales behind dead activations and unfused clips: files load, run, and equal their emulation."""

import pytest
import torch
from decided import decided
from torch import nn
from torch.nn import functional as F

from cnn_export.program.program import capture
from cnn_export.quantization.emulation.emulate import emulate
from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME
from cnn_export.quantization.emulation.xnnpack import XNNPACK
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.targets import load_target
from cnn_export.targets.options import TargetOptions

ARITHMETICS = {"tflite": XNNPACK, "onnx": ONNX_RUNTIME, "executorch": XNNPACK}


class Net(nn.Module):
    """Two convolutions, what is asked for between and behind them, and one that reads it."""

    def __init__(self, function, channels=6):
        super().__init__()
        torch.manual_seed(5)
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Conv2d(channels, 5, 1)
        self.function = function

    def forward(self, x):
        return self.last(self.function(self, self.first(x)))


def _dead(function):
    net = Net(function)
    net.second.bias.data -= 1000
    return net


def _tiny(function):
    net = Net(function)
    net.second.weight.data *= 1e-5
    net.second.bias.data *= 1e-5
    return net


CASES = {
    "dead relu": lambda: _dead(lambda net, y: F.relu(net.second(F.relu(y)))),
    "dead factor": lambda: _dead(lambda net, y: F.relu(y) * F.hardsigmoid(net.second(y))),
    "near-dead summand": lambda: _tiny(lambda net, y: F.relu(y) + net.second(y)),
    "clips that saturating is not": lambda: Net(
        lambda net, y: torch.cat([F.relu6(y), net.second(F.relu(y)).clamp(-0.3, 0.2)], 1), 12
    ),
}


@pytest.mark.parametrize("name", ARITHMETICS)
@pytest.mark.parametrize("case", CASES)
def test_a_file_loads_runs_and_equals_its_emulation(case, name, tmp_path):
    """A near-dead scale once gave a ``.pte`` that was written, said one partition, and failed."""
    generator = torch.Generator().manual_seed(9)
    images = [(torch.randn(1, 3, 9, 7, generator=generator),) for _ in range(4)]
    module = CASES[case]()
    found = decided(module, images, reparameterized=False)
    program, target = capture(module, images[0]), load_target(name)
    quantized = quantized_graph(found.graph_module, found.decision, target.spelling)
    path = tmp_path / f"net{target.suffix}"
    target.export(program.with_graph(quantized), TargetOptions(precision="int8"), path)
    assert target.partitions(path).partitions == 1
    session = target.load(path)
    for image in images:
        (got,) = session({"x": image[0].numpy()}).values()
        (expected,) = emulate(quantized, image, ARITHMETICS[name])
        assert expected.unique().numel() > 4
        assert torch.equal(torch.from_numpy(got), expected)
