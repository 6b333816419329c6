"""ZeroPaddedPools: equal where it fires, and refused where zeros could be seen."""

import pytest
import torch
from pass_checks import check_pass, graph_of
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.passes.legalize.pools.zero_padded_pools import ZeroPaddedPools

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


def _paddings(checked):
    pools = checked.graph_module.graph.find_nodes(
        op="call_function", target=torch.ops.aten.max_pool2d.default
    )
    return [any(p.args[3]) if isinstance(p.args[3], list) else p.args[3] for p in pools]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("case", FIRES)
def test_zeros_replace_minus_infinity(case, dynamic):
    image = torch.randn(1 if dynamic else 2, 3, 15, 12)
    checked = check_pass(ZeroPaddedPools(), _Function(FIRES[case]), image, dynamic=dynamic)
    assert checked.result.modified
    assert checked.ops.count("pad") == len(checked.result.rewrites)
    assert not any(_paddings(checked))
    pad = next(n for n in checked.graph_module.graph.nodes if operator_name(n) == "pad")
    assert __file__ in pad.meta["stack_trace"]


@pytest.mark.parametrize("case", STAYS)
def test_other_pools_stay(case):
    checked = check_pass(ZeroPaddedPools(), _Function(STAYS[case]), torch.randn(2, 3, 15, 12))
    assert not checked.result.modified
    wanted = {
        "no padding": [],
        "ceil mode": ["it rounds its size up"],
    }.get(case, ["may be negative, and not all its readers clip below zero"])
    assert len(checked.reasons) == len(wanted)
    assert all(text in reason for text, reason in zip(wanted, checked.reasons, strict=True))


def test_after_the_stage_the_in_place_network_qualifies():
    module = _Function(lambda y: _pooled(F.relu(y, inplace=True)))
    graph_module = graph_of(module, torch.randn(2, 3, 15, 12))
    assert not ZeroPaddedPools()(graph_module).modified
    reparameterize_graph(graph_module)
    assert ZeroPaddedPools()(graph_module).modified
