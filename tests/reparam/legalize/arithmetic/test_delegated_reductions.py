"""DelegatedReductions: one dimension by a layer, an image by a pool."""

from collections.abc import Callable

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.legalize.arithmetic.delegated_reductions import DelegatedReductions

IMAGE = torch.randn(1, 3, 7, 10)
TOKENS = torch.randn(2, 5, 6)
Function = Callable[[torch.Tensor], object]


class _Of(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> object:
        return self.function(x)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("function", "given", "ops"),
    [
        (lambda x: x.sum(1), IMAGE, ["conv2d", "reshape"]),
        (lambda x: x.sum(1, keepdim=True), IMAGE, ["conv2d"]),
        (lambda x: x.mean(-3, keepdim=True), IMAGE, ["conv2d"]),
        (lambda x: x.sum((2, 3)), IMAGE, ["mean", "mul", "reshape"]),
        (lambda x: x.mean(-1), IMAGE, ["linear", "reshape"]),
        (lambda x: x.mean(1), TOKENS, ["permute", "linear", "reshape"]),
        (lambda x: x.sum(1, keepdim=True), TOKENS, ["permute", "linear", "reshape"]),
        (lambda x: x.amax((2, 3)), IMAGE, ["max_pool2d", "reshape"]),
        (lambda x: x.max(1)[0], IMAGE, ["reshape", "max_pool2d", "reshape"]),
        (lambda x: x.max(1, keepdim=True)[0], IMAGE, ["reshape", "max_pool2d", "reshape"]),
        (lambda x: x.norm(dim=1), IMAGE, ["mul", "conv2d", "sqrt", "reshape"]),
        (
            lambda x: F.normalize(x, dim=-1),
            TOKENS,
            ["mul", "linear", "sqrt", "clamp_min", "expand_as", "div"],
        ),
    ],
)
def test_replaces(function: Function, given: torch.Tensor, ops: list[str], dynamic: bool) -> None:
    checked = check_pass(DelegatedReductions(), _Of(function), given, dynamic=dynamic)
    assert checked.ops == ops
    assert checked.reasons == []


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.sum(), "it reduces the dimensions [0, 1, 2, 3] of 4"),
        (lambda x: x.sum(0), "it reduces the batch"),
        (lambda x: x.max(1), "it says where the maximum is"),
        (lambda x: x.amax(3), "it is a maximum over the dimensions [3] of 4"),
        (lambda x: x.norm(1, dim=1), "it is a norm of order 1"),
        (lambda x: (x > 0).sum(1), "it is of torch.bool, or gives another kind of numbers"),
    ],
)
def test_refuses(function: Function, reason: str) -> None:
    checked = check_pass(DelegatedReductions(), _Of(function), IMAGE)
    assert not checked.result.modified
    assert checked.reasons == [reason]


def test_leaves_the_mean_of_an_image() -> None:
    checked = check_pass(DelegatedReductions(), _Of(lambda x: x.mean((2, 3), True)), IMAGE)
    assert not checked.result.modified
    assert checked.reasons == []
