"""Stochastic depth: branches are left out in training only, and as often as asked."""

from __future__ import annotations

import pytest
import torch

from cnn_export.models.families.cifar_resnet import cifar_resnet
from cnn_export.models.parts.blocks.drop_path import DropPath, decayed


def test_whole_branches_are_dropped_and_the_mean_stays() -> None:
    torch.manual_seed(7)
    branch = torch.rand(4000, 2, 3, 1) + 1
    dropped = DropPath(0.25)(branch)
    scale = (dropped / branch).round(decimals=5)
    assert torch.equal(scale.amax((1, 2, 3)), scale.amin((1, 2, 3)))
    assert scale.unique().tolist() == pytest.approx([0, 4 / 3], abs=1e-5)
    # A deviation of sqrt(0.25 · 0.75 / 4000) of the share, here four of them.
    assert (scale == 0).float().mean().item() == pytest.approx(0.25, abs=0.028)


def test_nothing_is_dropped_in_evaluation_or_without_a_rate() -> None:
    branch = torch.rand(8, 2)
    assert DropPath(0.9).eval()(branch) is branch
    assert DropPath()(branch) is branch


def test_rates_grow_to_the_last_block() -> None:
    network = cifar_resnet(18, drop_path=0.4)
    rates = [module.rate for module in network.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4])
    assert decayed(0.5, 2) == [0.25, 0.5]


def test_the_deployed_network_is_the_plain_one() -> None:
    torch.manual_seed(3)
    plain, stochastic = cifar_resnet(18).eval(), cifar_resnet(18, drop_path=0.5)
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(stochastic(image), stochastic(image))
        stochastic.load_state_dict(plain.state_dict())  # strictly: no tensor more or less
        assert torch.equal(stochastic.eval()(image), plain(image))


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_what_is_no_probability_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="a probability from 0 to below 1"):
        cifar_resnet(18, drop_path=rate)
