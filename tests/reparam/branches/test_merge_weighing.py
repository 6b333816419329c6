"""What a merge costs and saves, and what is left as it is because of it."""

import pytest
import torch
from linear_blocks import (
    Sum,
)
from merge_checks import Function, check, image
from torch import nn

KEPT = {
    "bottleneck": lambda: nn.Sequential(nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)),
    "inverted residual": lambda: Sum(
        nn.Sequential(nn.Conv2d(8, 48, 1), nn.ReLU6(), nn.Conv2d(48, 8, 1)), None
    ),
    "sandglass": lambda: nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
    ),
    "depthwise and pointwise": lambda: nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1)
    ),
    "thin kernels": lambda: nn.Sequential(nn.Conv2d(8, 8, (1, 3)), nn.Conv2d(8, 8, (3, 1))),
    "pool and pointwise": lambda: Sum(nn.AvgPool2d(3, 1, 1), nn.Conv2d(8, 8, 1)),
}


@pytest.mark.parametrize("name", KEPT)
def test_cheaper_as_it_is(name):
    checked = check(KEPT[name](), image(8))
    assert not checked.result.modified
    for decision in checked.result.decisions:
        after, before = decision.after, decision.before
        assert after.macs > before.macs or after.bytes > before.bytes
        assert decision.reason


def test_figures_of_a_decision():
    """8 channels at 6x7: 3x3 and 1x1 and identity, against one 3x3, in float32."""
    module = Sum(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.Conv2d(8, 8, 1, bias=False), None)
    (decision,) = check(module, image(8, 6, 7, batch=1)).result.decisions
    maps, square, point = 8 * 42, 8 * 8 * 9, 8 * 8
    assert decision.before.macs == 42 * (square + point)
    assert decision.after.macs == 42 * square
    two_additions = 2 * 3 * maps
    assert decision.before.bytes == 4 * (4 * maps + square + point + two_additions)
    assert decision.after.bytes == 4 * (2 * maps + square)


def test_fewer_multiply_accumulates_do_not_pay_for_more_bytes():
    """A reduction to 2 channels, then one kernel over the whole map: merged, 4 times its weight."""
    module = nn.Sequential(nn.Conv2d(8, 2, 1, bias=False), nn.Conv2d(2, 1, (12, 13), bias=False))
    checked = check(module, image(8, 12, 13, 1))
    (decision,) = checked.result.decisions
    assert not decision.taken
    assert decision.after.macs < decision.before.macs
    assert decision.after.bytes > decision.before.bytes


def test_reduction_by_composition_is_taken():
    """1x1 after 1x1 of equal width: half the multiply-accumulates."""
    assert check(nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))).ops == ["conv2d"]


def test_figures_of_a_partial_sum_count_the_additions_that_go():
    """Three summands, two of one source: two additions become one."""

    def formula(x, f, g, h):
        return f(x) + torch.relu(g(x)) + h(x)

    layers = [nn.Conv2d(4, 4, 1, bias=False) for _ in range(3)]
    (taken,) = check(Function(formula, *layers), image(4, 5, 6, 1)).result.decisions
    maps, weight = 4 * 30, 16
    assert taken.before.bytes == 4 * (2 * (2 * maps + weight) + 3 * maps)
    assert taken.after.bytes == 4 * (2 * maps + weight)


def test_value_read_elsewhere_stays_and_is_not_counted_as_saved():
    def formula(x, f, g):
        y = f(x)
        return y + g(x), torch.relu(y)

    checked = check(Function(formula, nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)))
    # Both convolutions and the sum against one more 3x3: the 3x3 that stays is no saving.
    assert checked.ops == ["conv2d", "conv2d", "add", "relu"]
    (decision,) = checked.result.decisions
    assert not decision.taken
    assert decision.after.macs > decision.before.macs
