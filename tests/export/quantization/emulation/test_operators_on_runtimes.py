"""Every integer operator, computed by the real runtimes and by the emulation: the same bits."""

import pytest
import torch
from runtime_files import RUNTIMES, Network, both, decided, traced
from torch import nn
from torch.nn import functional as F

IMAGE = (2, 6, 13, 9)
"""Batch, channels, height, width: odd and not square."""


def _conv(*args, **kwargs):
    layer = nn.Conv2d(*args, **kwargs)
    with torch.no_grad():
        # Channels of very different size, so that one scale for all would be seen.
        layer.weight *= torch.logspace(-1.5, 0.5, len(layer.weight)).reshape(-1, 1, 1, 1)
    return layer


def _scaled(layer, factor):
    with torch.no_grad():
        layer.weight *= factor
    return layer


def _networks():
    torch.manual_seed(1)
    return {
        "pointwise": (lambda x, f: f(x), [_conv(6, 11, 1)]),
        "3x3": (lambda x, f: f(x), [_conv(6, 7, 3, padding=1)]),
        "strided, wide kernel": (lambda x, f: f(x), [_conv(6, 7, (3, 5), (2, 3), (0, 2))]),
        "one-sided pad": (lambda x, f: f(F.pad(x, (0, 1, 0, 1))), [_conv(6, 7, 3, 2)]),
        "dilated": (lambda x, f: f(x), [_conv(6, 8, 3, padding=2, dilation=(2, 1))]),
        "depthwise": (lambda x, f: f(x), [_conv(6, 6, 3, 2, 1, groups=6)]),
        "depthwise, two each": (lambda x, f: f(x), [_conv(6, 12, 5, 1, 2, groups=6)]),
        "grouped": (lambda x, f: f(x), [_conv(6, 9, 3, 1, 1, groups=3)]),
        "no bias": (lambda x, f: f(x), [_conv(6, 7, 3, bias=False)]),
        "relu": (lambda x, f: F.relu(f(x)), [_conv(6, 7, 3)]),
        "relu6": (lambda x, f: F.relu6(f(x)), [_scaled(_conv(6, 7, 3), 8)]),
        "linear": (lambda x, f: f(x.flatten(1)), [nn.Linear(6 * 13 * 9, 70)]),
        "sum": (lambda x, f, g: f(x) + g(x), [_conv(6, 7, 3), _conv(6, 7, 3)]),
        "sum, relu": (lambda x, f, g: F.relu(f(x) + g(x)), [_conv(6, 7, 3), _conv(6, 7, 3)]),
        "sum, far scales": (
            lambda x, f, g: f(x) + g(x),
            [_conv(6, 7, 3), _scaled(_conv(6, 7, 3), 1 / 60)],
        ),
        "sum with itself": (lambda x, f, g: g(_twice(f(x))), [_conv(6, 7, 3), _conv(7, 5, 1)]),
        "product": (lambda x, f, g: f(x) * g(x), [_conv(6, 7, 3), _conv(6, 7, 3)]),
        "product with a gate": (
            lambda x, f, g: f(x) * g(x),
            [_conv(6, 7, 3), _conv(6, 7, (13, 9))],
        ),
        "max pool": (lambda x, f: F.max_pool2d(f(x), 3, 2), [_conv(6, 7, 3)]),
        "slices in another order": (
            lambda x, f: f(torch.cat([x[:, 4:], x[:, :4]], 1)),
            [_conv(6, 7, 3)],
        ),
    }


def _twice(x):
    return x + x


NAMES = list(_networks())


@pytest.fixture(scope="module", params=RUNTIMES)
def computed(request):
    """Both answers to all networks, which are one file with an output for each."""
    inputs = torch.randn(IMAGE, generator=torch.Generator().manual_seed(2)) * 2 + 0.5
    program = traced(Network(*_networks().values()), inputs)
    return both(RUNTIMES[request.param], program, decided(program, inputs), inputs)


@pytest.mark.parametrize("name", NAMES)
def test_a_runtime_equals_its_emulation(name, computed):
    actual, emulated = (each[NAMES.index(name)] for each in computed)
    assert emulated.dtype == actual.dtype
    assert torch.equal(actual, emulated)
    assert len(actual.unique()) > 10
