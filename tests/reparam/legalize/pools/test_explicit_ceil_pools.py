"""ExplicitCeilPools: windows end with the map, and the values are torch's own."""

from __future__ import annotations

import pytest
import torch
from pass_checks import check_pass, graph_of, operators
from torch import nn

from cnn_export.reparam.graph.operators import arguments, operator_name
from cnn_export.reparam.passes.legalize.pools.explicit_ceil_pools import ExplicitCeilPools

X = torch.randn(2, 3, 7, 10, generator=torch.Generator().manual_seed(0)) - 3
LINE, VOLUME = X.flatten(2), X.unflatten(3, (2, 5))

AVERAGES = [
    (nn.AvgPool2d(2, 3, ceil_mode=True), X, ["pad", "avg_pool2d", "mul"]),
    (nn.AvgPool2d((4, 3), (2, 3), (1, 1), ceil_mode=True), X, ["pad", "avg_pool2d", "mul"]),
    (nn.AvgPool2d(4, 3, 1, True, count_include_pad=False), X, ["pad", "avg_pool2d", "mul"]),
    (nn.AvgPool2d(2, 3, ceil_mode=True, divisor_override=3), X, ["pad", "avg_pool2d", "mul"]),
    (nn.AvgPool2d(2, 3, ceil_mode=True, divisor_override=4), X, ["pad", "avg_pool2d"]),
    (nn.AvgPool1d(4, 4, ceil_mode=True), LINE, ["pad", "avg_pool1d", "mul"]),
    (nn.AvgPool3d(2, 2, ceil_mode=True), VOLUME, ["pad", "avg_pool3d", "mul"]),
]
MAXIMA = [
    (nn.MaxPool2d(2, 3, ceil_mode=True), X, ["pad", "max_pool2d"]),
    (nn.MaxPool2d((4, 3), (2, 3), 1, ceil_mode=True), X, ["pad", "max_pool2d"]),
    (nn.MaxPool1d(4, 4, ceil_mode=True), LINE, ["pad", "max_pool1d"]),
    (nn.MaxPool3d(2, 2, ceil_mode=True), VOLUME, ["pad", "max_pool3d"]),
]


@pytest.mark.parametrize(("pool", "given", "wanted"), AVERAGES + MAXIMA)
def test_overhanging_windows_become_padding(pool, given, wanted) -> None:
    checked = check_pass(ExplicitCeilPools(), pool, given)
    assert [name for name in checked.ops if name != "get_attr"] == wanted
    names = [node for node in checked.graph_module.graph.nodes if "pool" in operator_name(node)]
    assert [arguments(node)["ceil_mode"] for node in names] == [False]


@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
def test_rounding_up_without_effect_goes(pool) -> None:
    """The last window would start in the padding behind the map: torch leaves it out."""
    network = pool(2, 4, 1, ceil_mode=True)
    given = torch.randn(1, 3, 5, 5)
    checked = check_pass(ExplicitCeilPools(overhanging=()), network, given)
    assert checked.ops in (["max_pool2d"], ["avg_pool2d"])
    assert not ExplicitCeilPools()(checked.graph_module).rewrites


def test_overhang_is_left_to_the_forms() -> None:
    graph_module = graph_of(nn.MaxPool2d(2, 3, ceil_mode=True), X)
    (refusal,) = ExplicitCeilPools(overhanging=())(graph_module).refusals
    assert refusal.reason == "its last windows reach beyond the map"
    assert operators(graph_module) == ["max_pool2d"]


def test_dilated_windows_may_miss_the_edge() -> None:
    graph_module = graph_of(nn.MaxPool2d(2, 4, dilation=3, ceil_mode=True), X)
    (refusal,) = ExplicitCeilPools()(graph_module).refusals
    assert "may miss the last row" in refusal.reason


def test_an_image_without_a_batch_is_refused() -> None:
    graph_module = graph_of(nn.AvgPool2d(2, 3, ceil_mode=True), X[0])
    (refusal,) = ExplicitCeilPools()(graph_module).refusals
    assert refusal.reason == "its input has 3 dimensions"
