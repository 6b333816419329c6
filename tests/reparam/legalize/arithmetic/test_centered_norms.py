"""CenteredNorms: the distance from the mean, and its mean square."""

import pytest
import torch
from pass_checks import check_pass, graph_of
from torch import nn

from cnn_export.reparam.passes.legalize.arithmetic.centered_norms import CenteredNorms

IMAGE = torch.randn(1, 6, 7, 10) + 3
TOKENS = torch.randn(1, 5, 6) - 2


def _norm(norm: nn.Module) -> nn.Module:
    for each in norm.parameters():
        nn.init.uniform_(each, 0.5, 2.0)
    return norm


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("norm", "given"),
    [
        (nn.LayerNorm(6), TOKENS),
        (nn.LayerNorm(6, elementwise_affine=False), TOKENS),
        (nn.LayerNorm(10, eps=0.1), IMAGE),
        (nn.GroupNorm(1, 6), IMAGE),
        (nn.GroupNorm(3, 6), IMAGE),
        (nn.GroupNorm(6, 6), IMAGE),
        (nn.GroupNorm(3, 6, affine=False), IMAGE),
        (nn.InstanceNorm2d(6, affine=True), IMAGE),
        (nn.InstanceNorm2d(6), IMAGE),
    ],
)
def test_replaces(norm: nn.Module, given: torch.Tensor, dynamic: bool) -> None:
    checked = check_pass(CenteredNorms(), _norm(norm), given, dynamic=dynamic)
    assert checked.result.modified
    assert not {"layer_norm", "group_norm", "instance_norm"}.intersection(checked.ops)
    assert checked.reasons == []


def test_only_the_kinds_asked_for() -> None:
    network = nn.Sequential(nn.GroupNorm(2, 6), nn.LayerNorm(10))
    ops = check_pass(CenteredNorms("group_norm"), network, IMAGE).ops
    assert "layer_norm" in ops
    assert "group_norm" not in ops


@pytest.mark.parametrize(
    ("norm", "given", "reason"),
    [
        (nn.LayerNorm((7, 10)), IMAGE, "it normalizes 2 dimensions"),
        (nn.GroupNorm(5, 5), TOKENS, "it normalizes 3 dimensions, which are no images"),
    ],
)
def test_refuses(norm: nn.Module, given: torch.Tensor, reason: str) -> None:
    assert check_pass(CenteredNorms(), norm, given).reasons == [reason]


def test_running_statistics_are_no_norm_of_the_map() -> None:
    norm = nn.InstanceNorm2d(6, track_running_stats=True)
    assert not check_pass(CenteredNorms(), norm, IMAGE).result.modified


def test_a_flat_map_keeps_its_digits_in_float32() -> None:
    """The variance of what is almost flat, where mean(x²) − mean(x)² has none left."""
    given = 1000 + torch.randn(1, 6, 8, 8)
    graph_module = graph_of(nn.GroupNorm(2, 6).eval(), given)
    CenteredNorms()(graph_module)
    expected = nn.GroupNorm(2, 6).double()(given.double())
    (actual,) = graph_module(given)
    assert torch.allclose(actual.double(), expected, atol=1e-3)
