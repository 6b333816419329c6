"""Arithmetic of batch normalization in evaluation mode, on plain tensors.

Ioffe and Szegedy, "Batch Normalization" (arXiv 1502.03167), section 3.1: with fixed statistics the
layer is one affine map per channel.
"""

from __future__ import annotations

import dataclasses

import torch


@dataclasses.dataclass(frozen=True)
class Affine:
    """``y = scale · x + shift`` per channel; both float64 of shape (channels,)."""

    scale: torch.Tensor
    shift: torch.Tensor


def batch_norm_affine(
    mean: torch.Tensor,
    variance: torch.Tensor,
    gamma: torch.Tensor | None,
    beta: torch.Tensor | None,
    epsilon: float,
) -> Affine:
    """Return ``γ/σ`` and ``β - μ·γ/σ`` with ``σ = √(var + ε)``; all inputs (channels,).

    ``gamma`` and ``beta`` of ``None`` (``affine=False``) stand for 1 and 0.
    """
    scale = (variance.double() + epsilon).rsqrt()
    if gamma is not None:
        scale = scale * gamma.double()
    shift = -mean.double() * scale
    return Affine(scale, shift if beta is None else shift + beta.double())


def scale_output_channels(
    weight: torch.Tensor, scale: torch.Tensor, *, groups: int = 1, transposed: bool = False
) -> torch.Tensor:
    """Multiply each output channel's weights by its ``scale``; float64.

    ``weight`` is (out, in/groups, *kernel), or (in, out/groups, *kernel) when ``transposed``;
    there output channel ``g·out/groups + j`` lies in rows of group ``g``, column ``j``.
    """
    weight = weight.double()
    if not transposed:
        return weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    kernel = weight.shape[2:]
    grouped = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], *kernel)
    scaled = grouped * scale.reshape(groups, 1, weight.shape[1], *[1] * len(kernel))
    return scaled.reshape(weight.shape)


def fold_affine(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    affine: Affine,
    *,
    groups: int = 1,
    transposed: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``(W·scale, b·scale + shift)`` in the dtype of ``weight``, rounded once from float64.

    Shapes as in :func:`scale_output_channels`; ``bias`` is (out,) or ``None`` for zero.
    """
    folded = scale_output_channels(weight, affine.scale, groups=groups, transposed=transposed)
    shift = affine.shift if bias is None else bias.double() * affine.scale + affine.shift
    return folded.to(weight.dtype), shift.to(weight.dtype)
