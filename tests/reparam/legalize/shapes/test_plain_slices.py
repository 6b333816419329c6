"""PlainSlices: selections and strided slices by slices of step one."""

import pytest
import torch
from pass_checks import check_pass, graph_of
from torch import nn

from cnn_export.reparam.passes.legalize.shapes.plain_slices import PlainSlices


class _Each(nn.Module):
    """Apply ``function`` to a map that something computed."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(torch.relu(x))


def shuffle_by_selection(x):
    """Both halves of a channel shuffle as megvii's networks write it."""
    batch, channels, height, width = x.size()
    x = x.reshape(batch * channels // 2, 2, height * width).permute(1, 0, 2)
    x = x.reshape(2, -1, channels // 2, height, width)
    return x[0], x[1]


CASES = {
    "shuffle": (shuffle_by_selection, 2),
    "last dimension": (lambda x: x.select(-1, 3), 1),
    "negative index": (lambda x: x.select(1, -2), 1),
    "even and odd channels": (lambda x: (x[:, 0::2], x[:, 1::2]), 2),
    "third rows": (lambda x: x[:, :, 2::3], 1),
    "up to a bound": (lambda x: x[:, :, 0:8:3], 1),
}


@pytest.mark.parametrize("case", CASES)
def test_replaces(case):
    function, count = CASES[case]
    checked = check_pass(PlainSlices(), _Each(function), torch.randn(2, 8, 9, 5))
    assert len(checked.result.rewrites) == count
    assert checked.result.refusals == ()
    assert "select" not in checked.ops
    slices = [n for n in checked.graph_module.graph.nodes if "slice" in n.name]
    assert all(len(node.args) == 4 for node in slices)  # no step


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x[:, ::3], "it does not take one of every 3 of 8"),
        (lambda x: x[:, 2::2], "it does not take one of every 2 of 8"),
        (lambda x: x[:, 0:5:2], "it does not take one of every 2 of 8"),
    ],
)
def test_refuses_what_no_reshape_takes_apart(function, reason):
    checked = check_pass(PlainSlices(), _Each(function), torch.randn(2, 8, 9, 5))
    assert checked.reasons == [reason]


def test_refuses_sizes_that_are_not_known():
    checked = check_pass(
        PlainSlices(), _Each(lambda x: x[:, ::2]), torch.randn(1, 8, 3, 5), dynamic=True
    )
    assert checked.reasons == ["the sizes of its input are not known"]


def test_plain_slices_stay():
    assert not PlainSlices()(graph_of(_Each(lambda x: x[:, 1:3]), torch.randn(1, 8, 3, 5))).modified
