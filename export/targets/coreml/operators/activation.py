"""Activations: MIL's formulas, in its parameter names (``alpha``, ``beta``)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import UnsupportedArgument

_GELU_SIGMOID_SCALE = 1.702


def relu(x: Tensor) -> Tensor:
    """Return max(x, 0)."""
    return F.relu(x)


def relu6(x: Tensor) -> Tensor:
    """Return min(max(x, 0), 6)."""
    return F.relu6(x)


def leaky_relu(x: Tensor, alpha: float) -> Tensor:
    """Return x where x ≥ 0, else alpha·x."""
    return F.leaky_relu(x, alpha)


def clamped_relu(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Return min(beta, x) where x ≥ 0, else min(beta, alpha·x)."""
    return F.leaky_relu(x, alpha).clamp(max=beta)


def thresholded_relu(x: Tensor, alpha: float) -> Tensor:
    """Return x where x ≥ alpha, else 0."""
    return torch.where(x >= alpha, x, torch.zeros_like(x))


def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """Return x where x > 0, else alpha·x with one alpha per channel (dimension 1)."""
    return F.prelu(x, alpha)


def elu(x: Tensor, alpha: float) -> Tensor:
    """Return x where x > 0, else alpha·(eˣ − 1)."""
    return F.elu(x, alpha)


def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """Return x·Φ(x), exactly or by its tanh or sigmoid approximation (``mode``)."""
    if mode == "EXACT":
        return F.gelu(x)
    if mode == "TANH_APPROXIMATION":
        return F.gelu(x, approximate="tanh")
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(_GELU_SIGMOID_SCALE * x)
    raise UnsupportedArgument(f"mode {mode!r} is unknown")


def sigmoid_hard(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Return min(max(alpha·x + beta, 0), 1)."""
    return (alpha * x + beta).clamp(0.0, 1.0)


def softplus_parametric(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Return alpha·log(1 + exp(beta·x)), alpha and beta per channel (dimension 1)."""
    shape = (-1, *[1] * (x.dim() - 2))
    return alpha.view(shape) * F.softplus(beta.view(shape) * x)


def scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Return alpha·tanh(beta·x)."""
    return alpha * torch.tanh(beta * x)


def linear_activation(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Return alpha·x + beta."""
    return alpha * x + beta


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return the softmax of x along ``axis``."""
    return torch.softmax(x, axis)


def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + e⁻ˣ)."""
    return torch.sigmoid(x)


def silu(x: Tensor) -> Tensor:
    """Return x·sigmoid(x)."""
    return F.silu(x)


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + eˣ)."""
    return F.softplus(x)


def softsign(x: Tensor) -> Tensor:
    """Return x / (1 + |x|)."""
    return F.softsign(x)


KERNELS = {
    "clamped_relu": clamped_relu,
    "elu": elu,
    "gelu": gelu,
    "leaky_relu": leaky_relu,
    "linear_activation": linear_activation,
    "prelu": prelu,
    "relu": relu,
    "relu6": relu6,
    "scaled_tanh": scaled_tanh,
    "sigmoid": sigmoid,
    "sigmoid_hard": sigmoid_hard,
    "silu": silu,
    "softmax": softmax,
    "softplus": softplus,
    "softplus_parametric": softplus_parametric,
    "softsign": softsign,
    "thresholded_relu": thresholded_relu,
}
