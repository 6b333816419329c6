"""The measure behind the proof."""

import math

import pytest
import torch

from cnn_export.reparam.proof import relative_error


def test_is_the_largest_difference_over_the_root_mean_square():
    expected = torch.tensor([3.0, 4.0])
    actual = torch.tensor([3.0, 4.1], dtype=torch.float32)
    assert relative_error([expected], [actual]) == pytest.approx(0.1 / math.sqrt(12.5), rel=1e-5)


def test_is_the_worst_output():
    one = torch.ones(2)
    assert relative_error([one, one], [one, one * 1.5]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([torch.ones(2)], [torch.ones(2), torch.ones(2)]),
        ([torch.ones(2)], [torch.ones(1, 2)]),
        ([torch.ones(2)], [torch.ones(2).double()]),
        ([torch.ones(2)], [torch.tensor([1.0, math.nan])]),
        ([torch.tensor([1.0, math.inf])], [torch.tensor([1.0, -math.inf])]),
        ([torch.tensor([1.0, math.inf])], [torch.tensor([1.0, math.nan])]),
        ([torch.zeros(2)], [torch.tensor([0.0, 1e-30])]),
    ],
)
def test_is_infinite_for_what_cannot_be_compared(expected, actual):
    expected = [each.double() if each.dtype == actual[0].dtype else each for each in expected]
    if len(actual) == 1 and actual[0].dtype == torch.float32:
        actual = [actual[0].double()]
    assert relative_error(expected, actual) == math.inf


def test_values_that_are_not_finite_may_agree():
    values = torch.tensor([1.0, math.nan, math.inf, -math.inf])
    assert relative_error([values], [values.clone()]) == 0.0
    assert relative_error([torch.zeros(3)], [torch.zeros(3)]) == 0.0
    assert relative_error([torch.ones(0)], [torch.ones(0)]) == 0.0
