"""Give the convolutions of any network the asymmetric training form of ACNet (arXiv 1908.03930)."""

from __future__ import annotations

import copy
from typing import TypeGuard

import torch
from torch import nn

from cnn_export.models.parts.acb_block import ACBlock
from cnn_export.models.parts.conv_norm_pairs import observed_calls

__all__ = ["ACBlock", "acb_convert"]

_IDENTITY_EPSILON = 2.0**-17
"""With a variance of ``1 - 2⁻¹⁷``, exact in float32 too, the batch norm divides by exactly 1."""

_LEAST_KERNEL = 3


def acb_convert(network: nn.Module) -> nn.Module:
    """Return a copy in which every square odd k×k convolution, k ≥ 3, is an :class:`ACBlock`.

    In evaluation mode the copy computes what the network does. The square kernel keeps the
    trained weights; the strips start as its middle row and column behind batch norms of weight
    zero. So the first training step too starts at the network's function, where kernels split
    in three would not: each part would be normalized by statistics of its own. The strips then
    grow by the gradient of those weights (zero-initialised γ, arXiv 1706.02677).

    A batch norm that alone reads the convolution moves into the block, as square batch norm, and
    leaves ``nn.Identity``. That it does is proven by tracing (``torch.fx``); in networks that
    cannot be traced only neighbours in an ``nn.Sequential`` count. Batch norms without affine
    weights or running statistics, and all others, stay where they are, and the block's own
    start as the identity.

    Left alone are subclasses of ``nn.Conv2d`` (parametrized ones are such), convolutions with
    hooks, and those whose weight the network reads directly.
    """
    converted = copy.deepcopy(network)
    calls = observed_calls(converted)
    replacements: dict[nn.Module, nn.Module] = {}
    for conv in converted.modules():
        if not _is_convertible(conv) or conv in calls.read_directly:
            continue
        norm = calls.norm_of.get(conv)
        if norm is not None and _is_foldable(norm):
            replacements[conv] = _block(conv, _shifted(norm, conv.bias))
            replacements[norm] = nn.Identity().train(norm.training)
        else:
            replacements[conv] = _block(conv, _identity_norm(conv))
    return _replaced(converted, replacements)


def _is_convertible(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    if type(module) is not nn.Conv2d or _has_hooks(module):
        return False
    height, width = module.kernel_size
    return height == width >= _LEAST_KERNEL and height % 2 == 1


def _is_foldable(norm: nn.BatchNorm2d) -> bool:
    plain = type(norm) is nn.BatchNorm2d and not _has_hooks(norm)
    return plain and norm.affine and norm.running_mean is not None


def _has_hooks(module: nn.Module) -> bool:
    return any(value for name, value in vars(module).items() if name.endswith("_hooks"))


def _block(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> ACBlock:
    """Return the block that computes ``norm(conv(x) - bias)``; takes the tensors over."""
    block = ACBlock(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size[0],
        stride=_two(conv.stride),
        padding=_padding(conv),
        dilation=_two(conv.dilation),
        groups=conv.groups,
        padding_mode=conv.padding_mode,
        epsilon=norm.eps,
    ).to(device=conv.weight.device, dtype=conv.weight.dtype)
    block.square_conv.weight = conv.weight
    block.square_bn = norm
    _start_strips(block, norm)
    return block.train(conv.training)


def _shifted(norm: nn.BatchNorm2d, bias: torch.Tensor | None) -> nn.BatchNorm2d:
    """Let the norm stand for one behind a bias: its mean is that of the result without."""
    if bias is not None and norm.running_mean is not None:
        norm.running_mean = norm.running_mean - bias.detach()
    return norm


def _start_strips(block: ACBlock, norm: nn.BatchNorm2d) -> None:
    square = block.square_conv.weight
    middle = square.shape[-1] // 2
    strips = (
        (block.ver_conv, block.ver_bn, square[:, :, :, middle : middle + 1]),
        (block.hor_conv, block.hor_bn, square[:, :, middle : middle + 1, :]),
    )
    for conv, strip_norm, weight in strips:
        conv.weight = nn.Parameter(weight.detach().clone(), square.requires_grad)
        strip_norm.momentum = norm.momentum
        nn.init.zeros_(strip_norm.weight)
        for parameter in strip_norm.parameters():
            parameter.requires_grad_(square.requires_grad)


def _identity_norm(conv: nn.Conv2d) -> nn.BatchNorm2d:
    """Return a batch norm that is exactly the identity in evaluation mode."""
    weight = conv.weight
    norm = nn.BatchNorm2d(
        conv.out_channels, _IDENTITY_EPSILON, device=weight.device, dtype=weight.dtype
    )
    norm.running_var = torch.full_like(_buffer(norm.running_var), 1 - _IDENTITY_EPSILON)
    if conv.bias is not None:  # behind the identity mean and weight, so it is the sum's own bias
        norm.bias = nn.Parameter(conv.bias.detach())
    for parameter in norm.parameters():
        parameter.requires_grad_(weight.requires_grad)
    return norm.train(conv.training)


def _buffer(tensor: torch.Tensor | None) -> torch.Tensor:
    if tensor is None:
        raise TypeError("the batch norm has no running statistics")
    return tensor


def _padding(conv: nn.Conv2d) -> tuple[int, int]:
    if conv.padding == "valid":
        return 0, 0
    if isinstance(conv.padding, str):  # "same", of an odd kernel
        height, width = (dilation * (conv.kernel_size[0] // 2) for dilation in _two(conv.dilation))
        return height, width
    return _two(conv.padding)


def _two(sizes: tuple[int, ...]) -> tuple[int, int]:
    height, width = sizes
    return height, width


def _replaced(network: nn.Module, replacements: dict[nn.Module, nn.Module]) -> nn.Module:
    """Put each replacement at every place of the module it stands for."""
    for path, module in list(network.named_modules(remove_duplicate=False)):
        if path and module in replacements:
            network.set_submodule(path, replacements[module])
    return replacements.get(network, network)
