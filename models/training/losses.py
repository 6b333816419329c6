"""Losses of the families in this package."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Normalization = Literal["global", "local"]


def feature_variance(features: torch.Tensor) -> torch.Tensor:
    """Return each sample's variance (N,) over all values of ``features`` (N, …)."""
    return features.flatten(1).var(dim=1, correction=0)


def scaled_variance(
    features: torch.Tensor, minimum: torch.Tensor | float = float("inf")
) -> torch.Tensor:
    """Return each sample's feature-map variance (N,), less the least one, over the batch's spread.

    ``features`` is (N, C, H, W) or any (N, …). The least one is the batch's or ``minimum``,
    whichever is less. Without ``minimum`` the result runs from 0 to 1. A batch without spread (one
    sample, or equal variances) has no sample to prefer and gives zeros, where the authors' code
    divides by zero.
    """
    variance = feature_variance(features)
    low, high = variance.aminmax()
    spread = high - low
    scaled = (variance - low.clamp(max=minimum)) / torch.where(spread > 0, spread, 1.0)
    return torch.where(spread > 0, scaled, 0.0)


class BiasLoss(nn.Module):
    """Cross-entropy weighted by the variety of each sample's features (arXiv 2107.11170).

        loss = mean z(v)·CE    z(v) = exp(α·v) − β

    with v from :func:`scaled_variance` of the last convolution's output: a sample with few
    distinctive features weighs less. The weight is a constant to the gradient, so that a network
    cannot lower its loss by flattening its features. α = β = 0 is plain cross-entropy.

    ``normalization`` says what v is measured from. ``global``, the default of the authors' code
    (``BiasLoss`` of lusinlu/bias-loss-skipblocknet@b557bca): the least variance of all
    batches so far in training mode, a buffer of the module; only the minimum runs, the spread is
    the batch's, so v may exceed 1. ``local``, that code's other mode: the batch's own minimum.
    """

    minimum: torch.Tensor

    def __init__(
        self, alpha: float = 0.3, beta: float = 0.3, normalization: Normalization = "global"
    ) -> None:
        super().__init__()
        if normalization not in ("global", "local"):
            raise ValueError(f"normalization is global or local, got {normalization!r}")
        self.alpha = alpha
        self.beta = beta
        self.normalization = normalization
        self.register_buffer("minimum", torch.tensor(float("inf"), dtype=torch.float64))

    def weights(self, features: torch.Tensor) -> torch.Tensor:
        """Return z(v) (N,) of feature maps (N, C, H, W), detached; ``global`` ones stay in mind."""
        if self.normalization == "local":
            return torch.exp(self.alpha * scaled_variance(features.detach())) - self.beta
        if self.training:
            least = feature_variance(features.detach()).min()
            self.minimum.clamp_(max=least.to(self.minimum.dtype))
        scaled = scaled_variance(features.detach(), self.minimum.to(features.dtype))
        return torch.exp(self.alpha * scaled) - self.beta

    def forward(
        self, features: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Return the scalar loss of logits (N, classes) against int64 class indices (N,)."""
        losses = functional.cross_entropy(logits, targets, reduction="none")
        return (self.weights(features) * losses).mean()
