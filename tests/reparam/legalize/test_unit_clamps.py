"""UnitClamps: a clip between 0 and 1 as one between 0 and 2, bit for bit."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.legalize.unit_clamps import UnitClamps


class _Each(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    "function",
    [lambda x: x.clamp(0, 1), lambda x: x.clip(0.0, 1.0), lambda x: F.hardtanh(x, 0.0, 1.0)],
)
def test_replaces(function):
    checked = check_pass(UnitClamps(), _Each(function), torch.randn(2, 3, 5, 4))
    assert checked.ops == ["mul", "hardtanh", "mul"]


def test_is_equal_bit_for_bit():
    tiny, large = torch.finfo(torch.float64).smallest_normal, torch.finfo(torch.float64).max
    values = [tiny, tiny / 8, 1 / 3, 1 - 2**-53, 1.0, 1 + 2**-52, large, torch.inf, -torch.inf]
    numbers = torch.tensor(values, dtype=torch.float64).reshape(1, -1)
    checked = check_pass(UnitClamps(), _Each(lambda x: x.clamp(0, 1)), torch.zeros(1, len(values)))
    assert torch.equal(checked.graph_module(numbers)[0], numbers.clamp(0, 1))


@pytest.mark.parametrize(
    "function", [lambda x: x.clamp(0, 6), lambda x: x.clamp(min=0), lambda x: x.clamp(-1, 1)]
)
def test_leaves_other_bounds(function):
    assert not check_pass(UnitClamps(), _Each(function), torch.randn(2, 3)).result.modified


def test_leaves_whole_numbers():
    checked = check_pass(
        UnitClamps(), _Each(lambda x: (x * 3).long().clamp(0, 1)), torch.randn(2, 3, 5, 4)
    )
    assert not checked.result.modified
