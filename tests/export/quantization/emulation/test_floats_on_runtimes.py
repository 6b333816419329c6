"""Float operators between integers, batches and threads: the runtimes equal the emulation too."""

import pytest
import torch
from runtime_files import RUNTIMES, Network, decided, session, spelled, traced
from torch import nn
from torch.nn import functional as F

from cnn_export.quantization.emulation.emulate import Emulation

IMAGE = (3, 5, 11, 7)


def _conv(*args, **kwargs):
    return nn.Conv2d(*args, **kwargs)


def _squeezed(x, f, g, h):
    y = F.hardswish(f(x))
    gate = F.hardtanh(h(F.relu(g(y.mean((2, 3), keepdim=True)))), 0.0, 1.0)
    return y * gate


def _networks():
    torch.manual_seed(6)
    return {
        "hard swish": (lambda x, f: F.hardswish(f(x)), [_conv(5, 9, 3, padding=1)]),
        "hard swish inside": (
            lambda x, f, g: g(F.hardswish(f(x))),
            [_conv(5, 9, 3, padding=1), _conv(9, 7, 1)],
        ),
        "mean": (lambda x, f: f(x).mean((2, 3)), [_conv(5, 70, 3, padding=1)]),
        "mean of one row": (lambda x, f: f(x).mean((2, 3)), [_conv(5, 6, (11, 3))]),
        "mean, linear": (
            lambda x, f, g: g(F.hardswish(f(x)).mean((2, 3))),
            [_conv(5, 9, 3), nn.Linear(9, 33)],
        ),
        "elu": (lambda x, f: F.elu(f(x)), [_conv(5, 9, 3, padding=1)]),
        "elu, layer": (lambda x, f, g: g(F.elu(f(x), 0.7)), [_conv(5, 9, 3), _conv(9, 7, 1)]),
        "least, layer": (
            lambda x, f, g: g(torch.minimum(f(x).exp(), f(x) * 0.5)),
            [_conv(5, 9, 3), _conv(9, 7, 1)],
        ),
        "squeezed": (_squeezed, [_conv(5, 12, 3), _conv(12, 8, 1), _conv(8, 12, 1)]),
    }


NAMES = list(_networks())


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request):
    return RUNTIMES[request.param]


@pytest.fixture(scope="module")
def inputs():
    return torch.randn(IMAGE, generator=torch.Generator().manual_seed(8)) * 2 + 0.3


@pytest.fixture(scope="module")
def program(runtime, inputs):
    traced_program = traced(Network(*_networks().values()), inputs)
    return spelled(runtime, traced_program, decided(traced_program, inputs))


@pytest.fixture(scope="module")
def actual(runtime, program, inputs):
    return session(runtime.target, program)(inputs)


@pytest.fixture(scope="module")
def emulated(runtime, program, inputs):
    return Emulation(program.graph_module, runtime.arithmetic).run([inputs])


@pytest.mark.parametrize("name", NAMES)
def test_a_runtime_equals_its_emulation(name, actual, emulated):
    index = NAMES.index(name)
    assert torch.equal(actual[index], emulated[index])
    assert len(actual[index].unique()) > 5
