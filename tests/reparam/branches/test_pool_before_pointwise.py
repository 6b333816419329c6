"""An average pool moves in front of a pointwise convolution."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.passes.branches.pool_before_pointwise import PoolBeforePointwise


def _check(*layers, image=(2, 6, 10, 14), **options):
    torch.manual_seed(0)
    return check_pass(PoolBeforePointwise(), nn.Sequential(*layers), torch.randn(image), **options)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dynamic", [False, True])
def test_transition_of_a_densenet(groups, dynamic):
    layers = (nn.Conv2d(6, 4, 1, groups=groups), nn.AvgPool2d(2, 2))
    checked = _check(*layers, image=(1, 6, 10, 14), dynamic=dynamic)
    assert checked.ops == ["avg_pool2d", "conv2d"]
    (decision,) = checked.result.decisions
    positions, pooled = 140, 35
    weights = 6 * 4 // groups
    assert decision.before.macs == positions * weights + pooled * 4 * 4
    assert decision.after.macs == pooled * weights + pooled * 6 * 4
    assert decision.before.bytes == 4 * (140 * (6 + 4) + (140 + 35) * 4 + weights + 4)
    assert decision.after.bytes == 4 * ((140 + 35) * 6 + 35 * (6 + 4) + weights + 4)


def test_overlapping_windows_and_a_dropped_rest():
    layers = (nn.Conv2d(6, 6, 1), nn.AvgPool2d(3, 2))
    assert _check(*layers, image=(1, 6, 10, 14)).ops == ["avg_pool2d", "conv2d"]


def test_one_dimension():
    layers = (nn.Conv1d(6, 4, 1), nn.AvgPool1d(2))
    assert _check(*layers, image=(2, 6, 14)).ops == ["avg_pool1d", "conv1d"]


def test_padding_that_counts_needs_a_convolution_without_bias():
    pool = nn.AvgPool2d(2, 2, 1)
    assert not _check(nn.Conv2d(6, 4, 1), pool).result.modified
    assert _check(nn.Conv2d(6, 4, 1, bias=False), pool).result.modified


def test_divisor_that_is_no_average_needs_a_convolution_without_bias():
    pool = nn.AvgPool2d(2, 2, divisor_override=3)
    assert not _check(nn.Conv2d(6, 4, 1), pool).result.modified
    assert _check(nn.Conv2d(6, 4, 1, bias=False), pool).result.modified


@pytest.mark.parametrize(
    "conv", [nn.Conv2d(6, 4, 3), nn.Conv2d(6, 4, 1, stride=2), nn.Conv2d(6, 4, 1, padding=1)]
)
def test_only_pointwise_convolutions_commute(conv):
    assert not _check(conv, nn.AvgPool2d(2, 2)).result.modified


def test_reduction_before_a_pool_of_stride_one_stays():
    """The pool would work on six channels instead of one, and no map shrinks."""
    checked = _check(nn.Conv2d(6, 1, 1), nn.AvgPool2d(3, 1))
    (decision,) = checked.result.decisions
    assert not decision.taken
    assert decision.after.bytes > decision.before.bytes


def test_convolution_read_elsewhere_stays():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(6, 4, 1)

        def forward(self, x):
            y = self.conv(x)
            return nn.functional.avg_pool2d(y, 2), y

    checked = check_pass(PoolBeforePointwise(), Both(), torch.randn(1, 6, 10, 14))
    assert not checked.result.modified
