"""Blocks whose branches are linear, written as their papers describe them, for merge tests."""

from __future__ import annotations

import random

import torch
from networks import randomize_batch_norm
from torch import nn
from torch.nn import functional as F


class Sum(nn.Module):
    """``Σ branch(x)``; ``None`` stands for the identity."""

    def __init__(self, *branches: nn.Module | None) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branch or nn.Identity() for branch in branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, *others = self.branches
        y = first(x)
        for branch in others:
            y = y + branch(x)
        return y


class Scale(nn.Module):
    """A learned factor per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.randn(channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class BorderedNorm(nn.Module):
    """Batch norm whose padding holds what it makes of zero: DBB's answer to biased borders."""

    def __init__(self, channels: int, pad: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.pad = pad

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        norm = self.norm
        value = norm.bias - norm.running_mean * norm.weight / torch.sqrt(
            norm.running_var + norm.eps
        )
        value = value.reshape(1, -1, 1, 1)
        return F.pad(norm(x) - value, [self.pad] * 4) + value


def conv_norm(inputs: int, outputs: int, kernel, **options) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, bias=False, **options)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def repvgg(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Module:
    """RepVGG (arXiv 2101.03697): normalized 3x3, 1x1 and, where shapes allow, identity."""
    branches = [
        conv_norm(inputs, outputs, 3, stride=stride, padding=1, groups=groups),
        conv_norm(inputs, outputs, 1, stride=stride, groups=groups),
    ]
    if stride == 1 and inputs == outputs:
        branches.append(nn.BatchNorm2d(inputs))
    return Sum(*branches)


def asymmetric(
    channels: int, kernel: int, pad: int, *, affine: bool = True, dilation: int = 1, **options
) -> nn.Module:
    """ACNet (arXiv 1908.03930): k×k + k×1 + 1×k, k odd; little padding crops the thin ones."""
    thin = pad - dilation * (kernel // 2)

    def branch(size: tuple[int, int], padding: tuple[int, int]) -> nn.Module:
        crop = nn.ZeroPad2d([min(padding[1], 0)] * 2 + [min(padding[0], 0)] * 2)
        positive = tuple(max(each, 0) for each in padding)
        conv = nn.Conv2d(
            channels, channels, size, padding=positive, dilation=dilation, bias=False, **options
        )
        layers = [conv, nn.BatchNorm2d(channels, affine=affine)]
        return nn.Sequential(*([crop] if min(padding) < 0 else []), *layers)

    square = branch((kernel, kernel), (pad, pad))
    return Sum(square, branch((kernel, 1), (pad, thin)), branch((1, kernel), (thin, pad)))


def diverse(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Module:
    """DBB (arXiv 2103.13425): the block that needs all six transforms."""
    between = inputs
    return Sum(
        conv_norm(inputs, outputs, 3, stride=stride, padding=1, groups=groups),
        conv_norm(inputs, outputs, 1, stride=stride, groups=groups),
        nn.Sequential(
            nn.Conv2d(inputs, between, 1, bias=False, groups=groups),
            BorderedNorm(between, 1),
            conv_norm(between, outputs, 3, stride=stride, groups=groups),
        ),
        nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False, groups=groups),
            BorderedNorm(outputs, 1),
            nn.AvgPool2d(3, stride),
            nn.BatchNorm2d(outputs),
        ),
    )


def mobileone(channels: int, groups: int, branches: int = 3) -> nn.Module:
    """MobileOne (arXiv 2206.04040): several 3x3, one 1x1 and a normalized identity."""
    many = [conv_norm(channels, channels, 3, padding=1, groups=groups) for _ in range(branches)]
    return Sum(*many, conv_norm(channels, channels, 1, groups=groups), nn.BatchNorm2d(channels))


class ScaledMixer(nn.Module):
    """FastViT's token mixer: ``x + γ·(mixer(x) - norm(x))``, arXiv 2303.14189."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mixer = mobileone(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.scale = Scale(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale(self.mixer(x) - self.norm(x))


def random_region(seed: int) -> tuple[nn.Module, torch.Tensor]:
    """Return a random sum of random branches, and an image for it."""
    choose = random.Random(seed)  # noqa: S311 - reproducible, not secret
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inputs, outputs = choose.choice([(4, 4), (4, 6), (2, 4)])
        module = _random_sum(choose, inputs, outputs, 2)
        randomize_batch_norm(module)
        return module, torch.randn(2, inputs, *choose.choice([(9, 13), (12, 8), (7, 7)]))


def _random_sum(choose: random.Random, inputs: int, outputs: int, depth: int) -> nn.Module:
    """Return a sum of random linear branches, some of them sums, that keeps (height, width)."""
    branches = [_random_branch(choose, inputs, outputs, depth) for _ in range(choose.randint(2, 3))]
    if inputs == outputs and choose.random() < 0.4:
        branches.append(None)
    return Sum(*branches)


def _random_branch(choose: random.Random, inputs: int, outputs: int, depth: int) -> nn.Module:
    if depth and choose.random() < 0.4:
        return _random_sum(choose, inputs, outputs, depth - 1)
    layers: list[nn.Module] = []
    if choose.random() < 0.3:
        layers += [nn.Conv2d(inputs, inputs, 1, bias=choose.random() < 0.3)]
    layers.append(_random_conv(choose, inputs, outputs))
    if choose.random() < 0.6:
        layers.append(nn.BatchNorm2d(outputs, affine=choose.random() < 0.7))
    if choose.random() < 0.3:
        layers.append(Scale(outputs))
    if choose.random() < 0.2:
        layers.append(nn.AvgPool2d(3, 1, 1, count_include_pad=choose.random() < 0.7))
    return nn.Sequential(*layers)


def _random_conv(choose: random.Random, inputs: int, outputs: int) -> nn.Module:
    groups = choose.choice([g for g in (1, 2, inputs) if inputs % g == 0 and outputs % g == 0])
    kernel, dilation = choose.choice(
        [((1, 1), 1), ((3, 3), 1), ((3, 3), 2), ((1, 3), 1), ((3, 1), 2), ((5, 5), 1), ((4, 4), 1)]
    )
    total = [dilation * (k - 1) for k in kernel]
    pads = [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2]
    mode = choose.choice(["constant", "constant", "constant", "reflect", "replicate"])
    conv = nn.Conv2d(
        inputs, outputs, kernel, dilation=dilation, groups=groups, bias=choose.random() < 0.3
    )
    return nn.Sequential(_Pad(pads, mode), conv)


class _Pad(nn.Module):
    def __init__(self, widths: list[int], mode: str) -> None:
        super().__init__()
        self.widths, self.mode = widths, mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x, self.widths, self.mode)
