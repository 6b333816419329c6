"""PaddedAverages: the padding that an average counts becomes the map's own."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.passes.legalize.pools.padded_averages import PaddedAverages

IMAGE = torch.randn(1, 3, 7, 10)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    "pool",
    [
        nn.AvgPool2d(3, stride=2, padding=1),
        nn.AvgPool2d((3, 5), stride=(1, 2), padding=(0, 2)),
        nn.AvgPool2d(2, padding=1, divisor_override=3),
    ],
)
def test_replaces(pool, dynamic):
    checked = check_pass(PaddedAverages(), pool, IMAGE, dynamic=dynamic)
    assert checked.ops == ["pad", "avg_pool2d"]
    assert checked.result.refusals == ()


@pytest.mark.parametrize(
    "pool",
    [nn.AvgPool2d(3, 2), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.MaxPool2d(3, 2, 1)],
)
def test_other_pools_stay(pool):
    checked = check_pass(PaddedAverages(), pool, IMAGE)
    assert not checked.result.modified
    assert checked.result.refusals == ()


def test_refuses_sizes_that_are_rounded_up():
    pool = nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True)
    checked = check_pass(PaddedAverages(), pool, IMAGE)
    assert checked.reasons == ["it rounds its size up"]
