"""TFLite's zero-padded max pools: equal where they fire, and not where zeros could be seen."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.targets.tflite import zero_padded_pool

POOL = {"kernel_size": 3, "stride": 2, "padding": 1}


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 3), function

    def forward(self, x):
        return self.function(self.conv(x) - 0.3)


def _pooled(y):
    return F.max_pool2d(y, **POOL)


FIRES = {
    "relu": lambda y: _pooled(F.relu(y)),
    "relu6": lambda y: _pooled(F.relu6(y)),
    "sigmoid": lambda y: _pooled(torch.sigmoid(y)),
    "hard sigmoid": lambda y: _pooled(F.hardsigmoid(y)),
    "clamp": lambda y: _pooled(y.clamp(0.1, 2)),
    "pool of pool": lambda y: _pooled(_pooled(F.relu(y))),
    "sum, concatenation, mean": lambda y: _pooled(
        torch.cat([F.relu(y) + F.relu(y.neg()) * 2, F.avg_pool2d(F.relu(y), 1)], 1)
    ),
    "relu afterwards": lambda y: F.relu(_pooled(y)),
    "clips afterwards": lambda y: (p := _pooled(y)).clamp(0, 1) + F.relu6(p),
    "other numbers": lambda y: F.max_pool2d(F.relu(y), (3, 2), (1, 2), (1, 0), (2, 1)),
    "no stride": lambda y: F.max_pool2d(F.relu(y), 3, padding=1),
}
STAYS = {
    "anything": _pooled,
    "leaky": lambda y: _pooled(F.leaky_relu(y)),
    "hard swish": lambda y: _pooled(F.hardswish(y)),
    "clamp below zero": lambda y: _pooled(y.clamp(-0.1, 2)),
    "clamp above only": lambda y: _pooled(y.clamp(max=2)),
    "difference": lambda y: _pooled(F.relu(y) - 1),
    "negative factor": lambda y: _pooled(F.relu(y) * -1),
    "negative share": lambda y: _pooled(torch.add(F.relu(y), F.relu(y), alpha=-2)),
    "one of two": lambda y: _pooled(torch.cat([F.relu(y), y], 1)),
    "relu and another reader": lambda y: F.relu(p := _pooled(y)) + p,
    "written afterwards": lambda y: _pooled(F.relu(y).sub_(1)),
    "part of it written afterwards": lambda y: (z := F.relu(y), z[:, :2].sub_(1), _pooled(z))[2],
    "ceil mode": lambda y: F.max_pool2d(F.relu(y), 3, 2, 1, ceil_mode=True),
    "no padding": lambda y: F.max_pool2d(F.relu(y), 3, 2),
}


def _program(function, dynamic=False):
    module, image = _Function(function).eval(), torch.randn(1 if dynamic else 2, 3, 15, 12)
    return capture(module, (image,), dynamic_batch=dynamic)


def _paddings(graph_module):
    pools = graph_module.graph.find_nodes(
        op="call_function", target=torch.ops.aten.max_pool2d.default
    )
    return [any(p.args[3]) if isinstance(p.args[3], list) else p.args[3] for p in pools]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("case", FIRES)
def test_zeros_replace_minus_infinity(case, dynamic):
    program = _program(FIRES[case], dynamic)
    before = str(program.graph_module.graph)
    spelled = zero_padded_pool.spelled_out(program)
    assert not any(_paddings(spelled.graph_module))
    assert str(program.graph_module.graph) == before
    image = torch.randn(3 if dynamic else 2, 3, 15, 12)
    expected, actual = program.graph_module(image)[0], spelled.graph_module(image)[0]
    assert torch.equal(expected, actual)
    assert bool((expected - expected.mean()).abs().max() > 0)


@pytest.mark.parametrize("case", STAYS)
def test_other_pools_stay(case):
    program = _program(STAYS[case])
    assert zero_padded_pool.spelled_out(program) is program


def test_after_the_stage_the_in_place_network_qualifies():
    program = _program(lambda y: _pooled(F.relu(y, inplace=True)))
    assert zero_padded_pool.spelled_out(program) is program
    reparameterize_graph(program.graph_module)
    assert zero_padded_pool.spelled_out(program) is not program
