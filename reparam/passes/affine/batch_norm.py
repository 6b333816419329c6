"""Arithmetic of batch normalization in evaluation mode, on plain tensors.

Ioffe and Szegedy, "Batch Normalization" (arXiv 1502.03167), section 3.1: with fixed statistics the
layer is one affine map per channel.
"""

from __future__ import annotations

import dataclasses

import torch

_MATRIX = 2
"""Dimensions of a fully connected layer's weights."""


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


def batch_norm_fault(
    mean: torch.Tensor,
    variance: torch.Tensor,
    gamma: torch.Tensor | None,
    beta: torch.Tensor | None,
    epsilon: float,
) -> str | None:
    """Return why no affine map is defined, naming the first such channel; else ``None``.

    A network with such a layer answers NaN or infinity there, which no rewrite may hide.
    """
    named = {"running_mean": mean, "running_var": variance, "weight": gamma, "bias": beta}
    tensors = {name: tensor for name, tensor in named.items() if tensor is not None}
    if len({tensor.shape for tensor in tensors.values()}) != 1 or mean.ndim != 1:
        shapes = ", ".join(f"{name} {list(each.shape)}" for name, each in tensors.items())
        return f"its tensors differ in shape: {shapes}"
    for name, tensor in tensors.items():
        bad = _first(~tensor.isfinite())
        if bad is not None:
            return f"its {name} is {tensor[bad].item()} in channel {bad}"
    # A sum that is positive only in float64 leaves the network's own arithmetic without a root.
    bad = _first((variance.double() + epsilon <= 0) | (variance.float() + epsilon <= 0))
    if bad is None:
        return None
    return f"its running_var is {variance[bad].item():g} in channel {bad}: var + eps is not above 0"


def all_finite(*tensors: torch.Tensor) -> bool:
    """Whether no element is NaN or infinite: either spoils a sum, and one sum is read once."""
    return all(bool(tensor.sum(dtype=torch.float64).isfinite()) for tensor in tensors)


def compose(outer: Affine, inner: Affine) -> Affine:
    """Return ``outer(inner(x))`` as one map."""
    return Affine(outer.scale * inner.scale, outer.scale * inner.shift + outer.shift)


def _first(mask: torch.Tensor) -> int | None:
    found = mask.nonzero()
    return int(found[0]) if len(found) else None


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


def scale_input_channels(
    weight: torch.Tensor, scale: torch.Tensor, *, groups: int = 1, transposed: bool = False
) -> torch.Tensor:
    """Multiply what each input channel's weights contribute by its ``scale``; float64.

    Weights as in :func:`scale_output_channels`; input channel ``g·in/groups + i`` of a convolution
    that is not transposed lies in rows of group ``g``, column ``i``.
    """
    return scale_output_channels(weight, scale, groups=groups, transposed=not transposed)


def response_to_shift(
    weight: torch.Tensor, shift: torch.Tensor, *, groups: int = 1
) -> torch.Tensor:
    """Return what a convolution answers to the constant image ``shift``, (out,) in float64.

    ``weight`` is (out, in/groups, *kernel), ``shift`` (in,). Holds where no zeros are padded.
    """
    taps = weight.double().flatten(2).sum(2) if weight.ndim > _MATRIX else weight.double()
    grouped = taps.reshape(groups, -1, taps.shape[1])
    return (grouped @ shift.double().reshape(groups, -1, 1)).reshape(-1)


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
