"""Losses of the families in this package."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def scaled_variance(features: torch.Tensor) -> torch.Tensor:
    """Return each sample's feature-map variance, scaled to [0, 1] over the batch.

    ``features`` is (N, C, H, W) or any (N, …); the result is (N,). A batch without spread (one
    sample, or equal variances) has no sample to prefer and gives zeros.
    """
    variance = features.flatten(1).var(dim=1, correction=0)
    low, high = variance.aminmax()
    spread = high - low
    return (variance - low) / torch.where(spread > 0, spread, 1.0)


class BiasLoss(nn.Module):
    """Cross-entropy weighted by the variety of each sample's features (arXiv 2107.11170).

        loss = mean z(v)·CE    z(v) = exp(α·v) − β

    with v from :func:`scaled_variance` of the last convolution's output: a sample with few
    distinctive features weighs less. The weight is a constant to the gradient, so that a network
    cannot lower its loss by flattening its features. α = β = 0 is plain cross-entropy.

    The authors' published code computes exp(β·v) − 1 + α instead; that is this loss with β = 0.7.
    """

    def __init__(self, alpha: float = 0.3, beta: float = 0.3) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta

    def weights(self, features: torch.Tensor) -> torch.Tensor:
        """Return z(v) (N,) of feature maps (N, C, H, W), detached."""
        return torch.exp(self.alpha * scaled_variance(features.detach())) - self.beta

    def forward(
        self, features: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Return the scalar loss of logits (N, classes) against int64 class indices (N,)."""
        losses = functional.cross_entropy(logits, targets, reduction="none")
        return (self.weights(features) * losses).mean()
