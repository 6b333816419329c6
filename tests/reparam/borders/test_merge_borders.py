"""Borders, strides and values that decide whether a region is one convolution."""

import pytest
import torch
from linear_blocks import (
    BorderedNorm,
    Sum,
)
from merge_checks import Function, check, image, merges
from pass_checks import graph_of
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.branches.merge_linear_branches import MergeLinearBranches
from cnn_export.reparam.passes.canonical.constant_folding import FoldConstants


def _padded_twice(*first: int) -> nn.Module:
    """Zero padding, a kernel, zero padding again, a kernel; without bias."""
    kernel = nn.Conv2d(4, 4, 2, bias=False)
    return Sum(
        nn.Sequential(nn.ZeroPad2d(first), kernel, nn.Conv2d(4, 4, 3, padding=1, bias=False)), None
    )


BORDERED = (
    (
        "a zero border would have to carry the bias",
        lambda: Sum(
            nn.Sequential(nn.Conv2d(4, 4, 1, bias=True), nn.Conv2d(4, 4, 3, padding=1)), None
        ),
    ),
    ("a zero border lies between two kernels", lambda: _padded_twice(0, 1, 0, 1)),
    ("a zero border lies between two kernels", lambda: _padded_twice(1, 0, 1, 0)),
    (
        "a reflect border lies between two kernels",
        lambda: Sum(
            nn.Sequential(
                nn.Conv2d(4, 4, 3, padding=1),
                nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
            ),
            None,
        ),
    ),
    (
        "borders",
        lambda: Sum(
            nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        ),
    ),
)


@pytest.mark.parametrize(("reason", "make"), BORDERED)
def test_refusal_names_the_border(reason, make):
    checked = check(make())
    assert any(reason in each for each in checked.reasons)


def test_refusal_names_unequal_strides():
    """Five rows give three either way: three positions of a kernel, or every second row."""
    module = Sum(nn.Conv2d(4, 4, (3, 1)), nn.Conv2d(4, 4, 1, stride=(2, 1)))
    checked = check(module, image(4, 5, 8))
    assert any("stride by" in reason for reason in checked.reasons)


def test_pool_that_does_not_count_its_padding_ends_the_region():
    module = Sum(nn.Conv2d(4, 4, 3, padding=1), nn.AvgPool2d(3, 1, 1, count_include_pad=False))
    assert not check(module).result.modified


def test_windows_of_a_ceiled_pool_end_the_region():
    """Its last windows reach beyond the map and average what they hold."""
    strided = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(4, 4, 2, stride=2))
    module = Sum(strided, nn.AvgPool2d(2, 2, ceil_mode=True))
    assert not check(module, image(4, 5, 7)).result.modified


def test_common_crop_stays_in_front_of_the_merged_kernel():
    branches = (nn.Sequential(nn.ZeroPad2d(-1), nn.Conv2d(4, 4, 1)) for _ in range(2))
    assert check(Sum(*branches)).ops == ["slice", "slice", "conv2d"]


def test_inner_zero_border_is_exact_where_the_inner_kernel_is_thin():
    """A row kernel has nothing above and below: a column kernel may pad there with zeros."""
    module = Sum(
        nn.Sequential(
            nn.Conv2d(4, 4, (1, 3), padding=(0, 1), bias=False),
            nn.Conv2d(4, 4, (3, 1), padding=(1, 0), bias=False),
        ),
        nn.Conv2d(4, 4, 3, padding=1),
    )
    merges(module)


def test_strided_inner_operators():
    """A strided 1x1 continues its source by zeros, and so does a pool that divides the size."""
    point = nn.Conv2d(4, 4, 1, stride=2, bias=False)
    module = Sum(
        nn.Sequential(point, nn.Conv2d(4, 4, 3, padding=1)),
        nn.Conv2d(4, 4, 5, stride=2, padding=2),
    )
    node = merges(module, image(4, 12, 9))
    assert node.args[3] == [2, 2]
    pooled = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 4, 1))
    merges(Sum(pooled, nn.Conv2d(4, 4, 2, stride=2)), image(4, 12, 10))


def test_weights_that_are_not_finite_are_never_spread_by_a_merge():
    """As a product with zero in a wider kernel, infinity would spoil channels it never reached."""
    module = Sum(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)).double()
    with torch.no_grad():
        module.branches[0].weight[0] = float("inf")
    graph_module = graph_of(module, image().double())
    result = MergeLinearBranches()(graph_module)
    assert not result.modified
    assert any("not finite" in refusal.reason for refusal in result.refusals)


def test_training_statistics_end_a_region():
    module = Sum(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4, track_running_stats=False))
    assert not check(module).result.modified


def test_written_memory_is_left_alone():
    def formula(x, f, g):
        y = f(x)
        z = y + g(x)
        y.mul_(2)
        return z, y

    checked = check(Function(formula, nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)))
    assert not checked.result.modified


def test_weights_computed_in_the_graph_end_a_region():
    def formula(x, f):
        return F.conv2d(x, f.weight * x.mean()) + x

    assert not check(Function(formula, nn.Conv2d(4, 4, 1))).result.modified


def test_bordered_norm_alone_stays_correct():
    check(nn.Sequential(nn.Conv2d(4, 4, 1), BorderedNorm(4, 1)), before=(FoldConstants(),))
