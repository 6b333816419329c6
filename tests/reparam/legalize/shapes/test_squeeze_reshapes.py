"""SqueezeReshapes: dimensions of size 1 go without sizes where the batch is symbolic."""

import pytest
import torch
from pass_checks import check_pass, graph_of
from torch import nn

from cnn_export.reparam.passes.legalize.shapes.squeeze_reshapes import SqueezeReshapes

IMAGE = torch.randn(1, 6, 5, 4)


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def _pooled(x):
    return x.mean((2, 3), keepdim=True)


FIRES = {
    "flatten": (lambda x: _pooled(x).flatten(1), ["mean", "squeeze"]),
    "view": (lambda x: _pooled(x).view(x.shape[0], 6), ["mean", "squeeze"]),
    "back": (
        lambda x: x * x.mean((2, 3)).reshape(-1, 6, 1, 1),
        ["mean", "squeeze", "unsqueeze", "unsqueeze", "mul"],
    ),
    "two in a row": (
        lambda x: _pooled(x).flatten(1).reshape(-1, 6, 1),
        ["mean", "squeeze", "squeeze", "unsqueeze"],
    ),
}
STAYS = {
    "flatten of a map": lambda x: x.flatten(1),
    "channels in groups": lambda x: x.reshape(-1, 2, 3, 5, 4),
    "batch joined": lambda x: x.reshape(-1, 5, 4),
}


@pytest.mark.parametrize("case", FIRES)
def test_dimensions_of_one_are_squeezed(case):
    function, ops = FIRES[case]
    checked = check_pass(SqueezeReshapes(), _Function(function), IMAGE, dynamic=True)
    assert [name for name in checked.ops if "sym_size" not in name] == ops
    assert not checked.result.refusals


@pytest.mark.parametrize("case", STAYS)
def test_a_reshape_that_does_more_is_refused(case):
    checked = check_pass(SqueezeReshapes(), _Function(STAYS[case]), IMAGE, dynamic=True)
    assert checked.reasons == ["it cannot be converted with a dynamic batch; use --batch N"]
    assert not checked.result.modified


FIXED = {name: function for name, (function, _) in FIRES.items()} | STAYS
FIXED["to a scalar"] = lambda x: x * x.mean((1, 2, 3)).view(())


def test_a_view_of_the_bits_is_no_reshape():
    def bits(x):
        return x.view(torch.int32)

    result = SqueezeReshapes()(graph_of(_Function(bits), IMAGE, dynamic=True))
    assert not result.modified
    assert not result.refusals


@pytest.mark.parametrize("case", FIXED)
def test_with_a_fixed_batch_nothing_is_said(case):
    function = FIXED[case]
    result = SqueezeReshapes()(graph_of(_Function(function), IMAGE))
    assert not result.modified
    assert not result.refusals
