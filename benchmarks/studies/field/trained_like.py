"""Weights and statistics as training leaves them, for networks that nobody trained.

Batch norms get the statistics of what really reaches them, each moved by some of its deviation, and
affine maps that are no identity: activations keep their size through any depth, and no batch norm,
layer scale or PReLU vanishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

_BATCH = 4
_LEAST_SCALE = 0.2
"""Layer scales start at 1e-6, and the last batch norm of a residual block at 0; none ends there."""


def trained_like(network: nn.Module, inputs: Sequence[torch.Tensor], seed: int = 0) -> nn.Module:
    """Return the network in evaluation mode with such values; ``inputs`` are of batch 1."""
    torch.manual_seed(seed)
    network.eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if (
                parameter.dim() == 1
                and parameter.numel()
                and bool((parameter == parameter[0]).all())
            ):
                _moved(parameter, is_bias=name.endswith("bias"))
        _measured(network, [_several(each) for each in inputs])
    return network


def _moved(parameter: torch.Tensor, *, is_bias: bool) -> None:
    if is_bias:
        parameter.add_(torch.randn_like(parameter), alpha=0.1)
    else:
        scale = max(abs(float(parameter[0])), _LEAST_SCALE)
        parameter.uniform_(0.5 * scale, 1.5 * scale)


def _several(example: torch.Tensor) -> torch.Tensor:
    """Return other values of the example's kind, ``_BATCH`` of them."""
    if not example.is_floating_point():
        return torch.cat([example] * _BATCH)
    return torch.randn(_BATCH * example.shape[0], *example.shape[1:])


def _measured(network: nn.Module, inputs: Sequence[torch.Tensor]) -> None:
    """Let every batch norm normalize by its batch and keep that, then move what it kept."""
    layers: list[Any] = [each for each in network.modules() if _keeps_statistics(each)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.train().momentum = 1.0
    if layers:
        network(*inputs)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.eval().momentum = momentum
    for layer in layers:
        layer.running_mean.add_(
            0.2 * layer.running_var.sqrt() * torch.randn_like(layer.running_var)
        )
        layer.running_var.mul_(torch.empty_like(layer.running_var).uniform_(0.5, 1.5)).clamp_(1e-3)


def _keeps_statistics(layer: Any) -> bool:
    kinds = nn.modules.batchnorm._NormBase  # pyright: ignore[reportPrivateUsage] # the base of all kinds
    return isinstance(layer, kinds) and layer.running_mean is not None
