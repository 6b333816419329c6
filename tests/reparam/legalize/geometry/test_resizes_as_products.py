"""ResizesAsProducts: rows and columns by one stored matrix each."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.legalize.geometry.resizes_as_products import ResizesAsProducts


class _Each(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x * 2)


def resized(**how):
    return lambda x: F.interpolate(x, **how)


CASES = {
    "to a size": (resized(size=(8, 11), mode="nearest"), 2),
    "by one and a half": (resized(scale_factor=1.5, mode="nearest"), 2),
    "smaller": (resized(scale_factor=0.5, mode="nearest"), 2),
    "exact": (resized(size=(13, 7), mode="nearest-exact"), 1),
    "bicubic": (resized(scale_factor=2, mode="bicubic"), 2),
    "bicubic, corners": (resized(size=(9, 4), mode="bicubic", align_corners=True), 2),
    "unequal windows": (lambda x: F.adaptive_avg_pool2d(x, (3, 4)), 2),
}


@pytest.mark.parametrize("case", CASES)
def test_replaces(case):
    function, products = CASES[case]
    checked = check_pass(ResizesAsProducts(), _Each(function), torch.randn(2, 3, 5, 7))
    assert checked.ops.count("linear") == products
    assert set(checked.ops) <= {"mul", "linear", "transpose"}


def test_matrices_are_no_parameters():
    checked = check_pass(ResizesAsProducts(), _Each(CASES["to a size"][0]), torch.randn(1, 3, 5, 7))
    assert list(checked.graph_module.parameters()) == []


@pytest.mark.parametrize(
    "function",
    [resized(scale_factor=2), resized(scale_factor=2, mode="bilinear"), lambda x: F.pad(x, (1, 1))],
)
def test_leaves_what_delegates_or_other_passes_take(function):
    checked = check_pass(ResizesAsProducts(), _Each(function), torch.randn(1, 3, 5, 7))
    assert not checked.result.modified
    assert checked.reasons == []


@pytest.mark.parametrize(
    ("shape", "dynamic", "reason"),
    [
        ((3, 5, 7), False, "its input has 3 dimensions"),
        ((1, 3, 5, 7), True, "the sizes of its input are not known"),
    ],
)
def test_refuses(shape, dynamic, reason):
    module = _Each(lambda x: F.adaptive_avg_pool2d(x, (3, 4)))
    checked = check_pass(ResizesAsProducts(), module, torch.randn(shape), dynamic=dynamic)
    assert checked.reasons == [reason]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: F.interpolate(x.masked_fill(x > 0, -torch.inf), (8, 11)).relu(), "infinities"),
        (lambda x: F.interpolate((x * 9).to(torch.uint8), (8, 11)), "torch.uint8"),
    ],
)
def test_products_are_of_finite_floats(function, reason):
    checked = check_pass(ResizesAsProducts(), _Each(function), torch.randn(1, 3, 5, 7))
    assert "linear" not in checked.ops
    assert reason in checked.reasons[0]
