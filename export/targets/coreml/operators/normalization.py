"""Normalizations at inference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Ints

_L2_DIMENSIONS = (-3, -2, -1)


def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Return gamma·(x − mean)/√(variance + epsilon) + beta per channel (dimension 1)."""
    return F.batch_norm(x, mean, variance, gamma, beta, False, 0.0, epsilon)


def instance_norm(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5
) -> Tensor:
    """Normalize every (sample, channel) by its own spatial mean and variance."""
    spatial = tuple(range(2, x.dim()))
    channel = (-1, *[1] * len(spatial))
    return _scaled(
        _standardized(x, spatial, epsilon),
        None if gamma is None else gamma.view(channel),
        None if beta is None else beta.view(channel),
    )


def layer_norm(
    x: Tensor,
    axes: Ints | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Normalize over ``axes`` (all when absent); gamma and beta have the shape of those axes."""
    normalized = sorted(axis % x.dim() for axis in axes or range(x.dim()))
    shape = [size if dim in normalized else 1 for dim, size in enumerate(x.shape)]
    return _scaled(
        _standardized(x, normalized, epsilon),
        None if gamma is None else gamma.reshape(shape),
        None if beta is None else beta.reshape(shape),
    )


def l2_norm(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Return x/√(Σx² + epsilon), the sum over the last three dimensions."""
    return x / torch.sqrt(x.square().sum(_L2_DIMENSIONS, keepdim=True) + epsilon)


def local_response_norm(
    x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Return x/(k + alpha/size·Σx²)^beta, the sum over ``size`` neighbouring channels."""
    return F.local_response_norm(x, size, alpha, beta, k)


def _standardized(x: Tensor, dimensions: Sequence[int], epsilon: float) -> Tensor:
    variance, mean = torch.var_mean(x, dim=tuple(dimensions), correction=0, keepdim=True)
    return (x - mean) / torch.sqrt(variance + epsilon)


def _scaled(x: Tensor, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
    scaled = x if gamma is None else x * gamma
    return scaled if beta is None else scaled + beta


KERNELS = {
    "batch_norm": batch_norm,
    "instance_norm": instance_norm,
    "l2_norm": l2_norm,
    "layer_norm": layer_norm,
    "local_response_norm": local_response_norm,
}
