"""AveragePoolsAsConvolutions: equal where it fires, and refused where divisors differ."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.graph.operators import operator_name, value_of
from cnn_export.reparam.passes.legalize.pools.average_pools_as_convolutions import (
    AveragePoolsAsConvolutions,
)


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 3), function

    def forward(self, x):
        return self.function(self.conv(x))


FIRES = {
    "square": lambda y: F.avg_pool2d(y, 2),
    "other numbers": lambda y: F.avg_pool2d(y, (3, 2), (1, 2)),
    "counted padding": lambda y: F.avg_pool2d(y, (3, 2), 2, (1, 0)),
    "own divisor": lambda y: F.avg_pool2d(y, 3, 2, 1, divisor_override=5),
    "twice": lambda y: F.avg_pool2d(F.avg_pool2d(y, 2), 2),
    "overhanging, own divisor": lambda y: F.avg_pool2d(y, 3, 2, ceil_mode=True, divisor_override=7),
}
WHOLE = {
    "whole map": lambda y: F.avg_pool2d(y, (13, 10)),
    "and a stride": lambda y: F.avg_pool2d(y, (13, 10), 3),
}
STAYS = {
    "padding not counted": (
        lambda y: F.avg_pool2d(y, 3, 1, 1, count_include_pad=False),
        "its windows at the border average fewer positions",
    ),
    "overhanging": (
        lambda y: F.avg_pool2d(y, 3, 2, ceil_mode=True),
        "its windows at the border average fewer positions",
    ),
    "without a batch": (
        lambda y: F.avg_pool2d(y[0], 2),
        "its input has 3 dimensions",
    ),
}


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("case", FIRES)
def test_windows_become_depthwise_convolutions(case, dynamic):
    image = torch.randn(1 if dynamic else 2, 3, 15, 12)
    checked = check_pass(
        AveragePoolsAsConvolutions(), _Function(FIRES[case]), image, dynamic=dynamic
    )
    assert len(checked.result.rewrites) == checked.ops.count("conv2d") - 1 > 0
    assert "avg_pool2d" not in checked.ops
    pooled = [n for n in checked.graph_module.graph.nodes if operator_name(n) == "conv2d"][-1]
    assert pooled.args[6] == value_of(pooled).shape[1] == 4
    assert __file__ in pooled.meta["stack_trace"]


@pytest.mark.parametrize("case", WHOLE)
def test_a_window_of_the_whole_map_is_a_mean(case):
    checked = check_pass(
        AveragePoolsAsConvolutions(), _Function(WHOLE[case]), torch.randn(2, 3, 15, 12)
    )
    assert checked.ops == ["conv2d", "mean"]


@pytest.mark.parametrize("case", STAYS)
def test_other_pools_stay(case):
    function, reason = STAYS[case]
    checked = check_pass(
        AveragePoolsAsConvolutions(), _Function(function), torch.randn(2, 3, 16, 12)
    )
    assert not checked.result.modified
    assert checked.reasons == [reason]


def test_equal_pools_share_their_weights():
    both = _Function(lambda y: F.avg_pool2d(y, 2) + F.avg_pool2d(-y, 2))
    checked = check_pass(AveragePoolsAsConvolutions(), both, torch.randn(2, 3, 15, 12))
    assert len(checked.result.rewrites) == 2
    assert len(list(checked.graph_module.parameters())) == 3
