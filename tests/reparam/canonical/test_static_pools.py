"""StaticPools: adaptive pools with equal windows, in 1, 2 and 3 dimensions."""

import pytest
import torch
from pass_checks import check_pass, graph_of
from torch import nn

from cnn_export.reparam.passes.canonical.static_pools import StaticPools

CASES = {
    "global": (nn.AdaptiveAvgPool2d(1), (2, 3, 5, 7), ["mean"]),
    "global without batch": (nn.AdaptiveAvgPool2d(1), (3, 5, 7), ["mean"]),
    "one row": (nn.AdaptiveAvgPool2d((1, 7)), (1, 3, 5, 7), ["avg_pool2d"]),
    "not square": (nn.AdaptiveAvgPool2d((2, 3)), (1, 3, 8, 9), ["avg_pool2d"]),
    "same size": (nn.AdaptiveAvgPool2d((None, 3)), (1, 3, 5, 9), ["avg_pool2d"]),
    "global 1d": (nn.AdaptiveAvgPool1d(1), (1, 3, 7), ["mean"]),
    "1d": (nn.AdaptiveAvgPool1d(3), (1, 3, 9), ["avg_pool1d"]),
    "3d": (nn.AdaptiveAvgPool3d((1, 2, 3)), (1, 2, 2, 4, 9), ["avg_pool3d"]),
    "maximum": (nn.AdaptiveMaxPool2d((2, 3)), (1, 3, 8, 9), ["max_pool2d"]),
    "global maximum": (nn.AdaptiveMaxPool2d(1), (1, 3, 5, 7), ["max_pool2d"]),
    "maximum 1d": (nn.AdaptiveMaxPool1d(2), (1, 3, 8), ["max_pool1d"]),
}


@pytest.mark.parametrize("case", CASES)
def test_replaces(case):
    pool, shape, expected = CASES[case]
    checked = check_pass(StaticPools(), pool, torch.randn(shape))
    assert checked.ops == expected
    assert checked.result.refusals == ()


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d((2, 1))])
def test_keeps_a_dynamic_batch(pool):
    checked = check_pass(StaticPools(), pool, torch.randn(1, 3, 6, 7), dynamic=True)
    assert checked.result.modified
    output = checked.graph_module.graph.output_node().args[0][0].meta["val"]
    assert isinstance(output.shape[0], torch.SymInt)


@pytest.mark.parametrize(
    ("pool", "reason"),
    [
        (nn.AdaptiveAvgPool2d((2, 3)), "7x9 is no multiple of 2x3"),
        (nn.AdaptiveMaxPool2d(2), "7x9 is no multiple of 2x2"),
        (nn.AdaptiveAvgPool2d(14), "7x9 is no multiple of 14x14"),
        (nn.AdaptiveMaxPool2d(1, return_indices=True), "its indices are read: getitem, getitem_1"),
    ],
)
def test_refuses(pool, reason):
    checked = check_pass(StaticPools(), pool, torch.randn(1, 3, 7, 9))
    assert not checked.result.modified
    assert checked.reasons == [reason]


def test_refuses_a_size_that_is_not_known():
    size = torch.export.Dim("height", min=2, max=64)
    exported = torch.export.export(
        nn.AdaptiveAvgPool2d(1), (torch.randn(1, 3, 8, 9),), dynamic_shapes=({2: size},)
    )
    result = StaticPools()(exported.module(check_guards=False))
    assert not result.modified
    assert result.refusals[0].reason == "the size of its input is not known"


def test_other_pools_stay():
    graph_module = graph_of(nn.AvgPool2d(2), torch.randn(1, 3, 8, 9))
    assert StaticPools()(graph_module).refusals == ()
