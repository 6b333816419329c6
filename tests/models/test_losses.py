"""Bias Loss against numpy and numerical gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.nn import functional

from cnn_export.models.training.losses import BiasLoss, feature_variance, scaled_variance


def sample(count: int = 6, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    # Samples of clearly different spread, on non-square maps.
    features = torch.randn(count, 4, 3, 5, dtype=torch.float64)
    features *= torch.linspace(0.2, 3, count, dtype=torch.float64).reshape(-1, 1, 1, 1)
    logits = torch.randn(count, classes, dtype=torch.float64)
    return features, logits, torch.arange(count) % classes


def numpy_loss(features, logits, targets, alpha, beta) -> float:
    x = features.numpy().reshape(len(features), -1)
    variance = ((x - x.mean(axis=1, keepdims=True)) ** 2).mean(axis=1)
    v = (variance - variance.min()) / (variance.max() - variance.min())
    z = np.exp(alpha * v) - beta
    y = logits.numpy()
    log_probability = y - np.log(np.exp(y).sum(axis=1, keepdims=True))
    cross_entropy = -log_probability[np.arange(len(y)), targets.numpy()]
    return float((z * cross_entropy).mean())


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.3), (0.8, 0.1), (0.3, 0.7)])
def test_loss_equals_numpy(alpha, beta):
    features, logits, targets = sample()
    expected = numpy_loss(features, logits, targets, alpha, beta)
    assert BiasLoss(alpha, beta)(features, logits, targets).item() == pytest.approx(expected, 1e-12)


OFFICIAL = {
    "global": [1.6037887038899077, 1.9070157599081428, 1.8380813952212678],
    "local": [1.6037887038899077, 1.9070157599081428, 1.8349302866992325],
}
"""What lusinlu/bias-loss-skipblocknet@b557bca's ``BiasLoss`` gave for :func:`batches`, in turn."""


def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    torch.manual_seed(3)
    for scale in (1.0, 0.3, 2.0):
        features = torch.randn(6, 4, 3, 5, dtype=torch.float64) * scale
        features *= torch.linspace(0.2, 3, 6, dtype=torch.float64).reshape(-1, 1, 1, 1)
        yield features, torch.randn(6, 5, dtype=torch.float64), torch.arange(6) % 5


@pytest.mark.parametrize("mode", list(OFFICIAL))
def test_losses_of_batches_in_turn_are_the_authors(mode):
    loss = BiasLoss(normalization=mode)
    assert [float(loss(*batch)) for batch in batches()] == pytest.approx(OFFICIAL[mode], rel=1e-12)


def test_the_running_minimum_is_state_and_stands_still_in_evaluation():
    first, _, last = batches()
    loss, resumed = BiasLoss(), BiasLoss()
    loss(*first)
    resumed.load_state_dict(loss.state_dict())
    assert resumed.minimum == feature_variance(first[0]).min()
    loss.eval()(first[0] * 0.1, *first[1:])
    assert torch.equal(loss(*last), resumed(*last))
    assert not torch.equal(loss(*last), BiasLoss()(*last))


def test_other_normalizations_are_refused():
    with pytest.raises(ValueError, match="global or local, got 'batch'"):
        BiasLoss(normalization="batch")


def test_weights_run_from_the_flattest_to_the_most_varied_sample():
    features, _, _ = sample()
    weights = BiasLoss().weights(features)
    order = features.flatten(1).var(dim=1).argsort()
    assert (weights[order].diff() > 0).all()
    assert weights.min().item() == pytest.approx(1 - 0.3)
    assert weights.max().item() == pytest.approx(float(np.exp(0.3)) - 0.3)


def test_scale_of_all_features_does_not_matter():
    features, _, _ = sample()
    torch.testing.assert_close(scaled_variance(features * 7 + 2), scaled_variance(features))


@pytest.mark.parametrize("mode", list(OFFICIAL))
@pytest.mark.parametrize("count", [1, 4])
def test_equal_variances_weigh_alike_without_nan(count, mode):
    features = torch.randn(1, 2, 3, 3).expand(count, -1, -1, -1)
    logits, targets = torch.randn(count, 3), torch.zeros(count, dtype=torch.int64)
    bias_loss = BiasLoss(normalization=mode)
    bias_loss(features * torch.linspace(0.1, 0.4, count).reshape(-1, 1, 1, 1), logits, targets)
    loss = bias_loss(features, logits, targets)
    torch.testing.assert_close(loss, 0.7 * functional.cross_entropy(logits, targets))


def test_single_pixel_maps_of_one_channel_give_no_nan():
    assert scaled_variance(torch.randn(3, 1, 1, 1)).tolist() == [0.0, 0.0, 0.0]


def test_zero_alpha_and_beta_is_cross_entropy():
    features, logits, targets = sample()
    expected = functional.cross_entropy(logits, targets)
    torch.testing.assert_close(BiasLoss(0.0, 0.0)(features, logits, targets), expected)


def test_gradient_of_the_logits_is_numerically_right():
    features, logits, targets = sample()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda y: BiasLoss()(features, y, targets), (logits,))


def test_features_get_no_gradient_through_the_weight():
    features, logits, targets = sample()
    features.requires_grad_()
    logits.requires_grad_()
    loss = BiasLoss()(features, logits, targets)
    (gradient,) = torch.autograd.grad(loss, features, allow_unused=True)
    assert gradient is None
