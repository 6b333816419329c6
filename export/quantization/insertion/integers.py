"""The integers that a layer's weights and bias become.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference" (CVPR 2018, arXiv 1712.05877), section 2.2: ``W ≈ s_w·q_w`` with an own ``s_w`` for each
output channel, ``b ≈ s_x·s_w·q_b``. All divisions are in float64, where the product of two float32
scales is exact, and round half to even.
"""

from __future__ import annotations

import torch

from cnn_export.quantization.decision import WEIGHT_MAX

BIAS_MIN, BIAS_MAX = -(2**31), 2**31 - 1


def weight_integers(weight: torch.Tensor, scales: torch.Tensor, channel_dim: int) -> torch.Tensor:
    """Return ``round(W / s_w)``, clipped to ±127, as int8 of the weight's shape.

    ``scales``: (out,), along ``channel_dim`` of the weight.
    """
    steps = along(scales.double(), channel_dim, weight.ndim)
    return (weight.double() / steps).round().clamp(-WEIGHT_MAX, WEIGHT_MAX).to(torch.int8)


def bias_integers(bias: torch.Tensor, input_scale: float, scales: torch.Tensor) -> torch.Tensor:
    """Return ``round(b / (s_x·s_w))`` as int32; (out,).

    Raises:
        OverflowError: a bias does not fit; scales come with floors that keep it from that.
    """
    integers = (bias.double() / (scales.double() * input_scale)).round()
    if not bool(((integers >= BIAS_MIN) & (integers <= BIAS_MAX)).all()):
        raise OverflowError(f"a bias is {float(integers.abs().max()):.3g} steps, more than int32")
    return integers.to(torch.int32)


def along(values: torch.Tensor, dim: int, rank: int) -> torch.Tensor:
    """Return values (n,) shaped so that they broadcast along dimension ``dim`` of ``rank``."""
    return values.reshape([-1 if each == dim else 1 for each in range(rank)])
