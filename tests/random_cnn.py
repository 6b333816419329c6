"""Small random convolutional networks from a seed, for tests of every stage.

``random_cnn(seed)`` returns a network in evaluation mode with an input that suits it. Shapes are
odd and not square, statistics of batch normalization are far from the identity. The same seed
gives the same network. With Hypothesis: ``@given(random_cnns())``.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

import torch
from hypothesis import strategies as st
from networks import randomize_batch_norm
from torch import nn
from torch.nn import functional as F


@dataclasses.dataclass
class RandomCNN:
    """A network, one input for it, and the seed that makes both again."""

    module: nn.Module
    inputs: tuple[torch.Tensor, ...]
    seed: int


def random_cnns() -> st.SearchStrategy[RandomCNN]:
    """Return a Hypothesis strategy; a failure reports its seed."""
    return st.integers(min_value=0, max_value=2**32 - 1).map(random_cnn)


def random_cnn(seed: int, *, layers: int = 5, classes: int = 7) -> RandomCNN:
    """Return a network of ``layers`` random blocks, a pool and a classifier (batch, classes)."""
    choose = random.Random(seed)  # noqa: S311 - reproducible, not secret
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        channels = choose.choice([3, 4, 6])
        height, width = choose.choice([(9, 13), (12, 8), (16, 16), (15, 11)])
        blocks, features = _blocks(choose, channels, layers)
        head = choose.choice([_PooledHead, _FlatHead])(features, classes, choose)
        module = nn.Sequential(*blocks, head)
        randomize_batch_norm(module)
        image = torch.randn(1, channels, height, width)
    return RandomCNN(module.eval(), (image,), seed)


def _blocks(choose: random.Random, channels: int, layers: int) -> tuple[list[nn.Module], int]:
    blocks: list[nn.Module] = []
    for _ in range(layers):
        block, channels = choose.choice(_BLOCKS)(choose, channels)
        blocks.append(block)
    return blocks, channels


def _conv_block(choose: random.Random, channels: int) -> tuple[nn.Module, int]:
    groups = choose.choice([g for g in (1, 2, 3, channels) if channels % g == 0])
    out = groups * choose.randint(1, 2 if groups > 3 else 4)
    kernel = choose.choice([1, 2, 3, (1, 3), (3, 1), 4])
    mode = choose.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
    conv = nn.Conv2d(
        channels,
        out,
        kernel,
        stride=choose.choice([1, 1, 2]),
        padding=choose.choice([1, 2]),
        dilation=1 if kernel == 4 else choose.choice([1, 1, 2]),
        groups=groups,
        bias=choose.random() < 0.5,
        padding_mode=mode,
    )
    return nn.Sequential(conv, *_batch_norm(choose, out), _activation(choose)), out


def _transposed_block(choose: random.Random, channels: int) -> tuple[nn.Module, int]:
    groups = choose.choice([g for g in (1, 2) if channels % g == 0])
    out = groups * choose.randint(1, 3)
    kernel = choose.choice([2, 3])
    conv = nn.ConvTranspose2d(channels, out, kernel, padding=1, groups=groups, bias=False)
    pad = nn.ZeroPad2d((1, 1, 0, 1))
    return nn.Sequential(pad, conv, *_batch_norm(choose, out), _activation(choose)), out


def _pool_block(choose: random.Random, channels: int) -> tuple[nn.Module, int]:
    pool = choose.choice(
        [
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False),
            nn.AvgPool2d(3, stride=1, padding=1),
            nn.MaxPool2d(2, stride=2, padding=1, ceil_mode=True),
        ]
    )
    return pool, channels


def _residual_block(choose: random.Random, channels: int) -> tuple[nn.Module, int]:
    body = _same_size_body(choose, channels, channels)
    return _Residual(body, in_place=choose.random() < 0.5), channels


def _concat_block(choose: random.Random, channels: int) -> tuple[nn.Module, int]:
    extra = choose.randint(1, 3)
    return _Concat(_same_size_body(choose, channels, extra)), channels + extra


def _same_size_body(choose: random.Random, channels: int, out: int) -> nn.Module:
    kernel, dilation = choose.choice([(1, 1), (3, 1), (3, 2), (5, 1)])
    conv = nn.Conv2d(
        channels, out, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False
    )
    return nn.Sequential(conv, *_batch_norm(choose, out), _activation(choose))


def _batch_norm(choose: random.Random, channels: int) -> list[nn.Module]:
    kind = choose.random()
    if kind < 0.2:
        return []
    return [nn.BatchNorm2d(channels, eps=choose.choice([1e-5, 1e-3]), affine=kind < 0.85)]


def _activation(choose: random.Random) -> nn.Module:
    in_place = choose.random() < 0.5
    makers: list[Callable[[], nn.Module]] = [
        lambda: nn.ReLU(in_place),
        lambda: nn.ReLU6(in_place),
        lambda: nn.Hardswish(in_place),
        lambda: nn.LeakyReLU(0.1, in_place),
        lambda: nn.SiLU(in_place),
        lambda: nn.PReLU(init=0.3),
        nn.Sigmoid,
        nn.Tanh,
        nn.Identity,
        _HandWrittenHardSwish,
    ]
    return choose.choice(makers)()


_BLOCKS = (_conv_block, _conv_block, _transposed_block, _pool_block, _residual_block, _concat_block)


class _HandWrittenHardSwish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * F.relu6(x + 3, inplace=True) / 6


class _Residual(nn.Module):
    def __init__(self, body: nn.Module, in_place: bool) -> None:
        super().__init__()
        self.body = body
        self.in_place = in_place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # A body that starts in place would change what the shortcut reads: bodies start with conv.
        y = self.body(x)
        if self.in_place:
            y += x
            return y
        return x + y


class _Concat(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.body(x)], dim=1)


class _PooledHead(nn.Module):
    """Global pool, dropout, linear, batch normalization."""

    def __init__(self, features: int, classes: int, choose: random.Random) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.3, inplace=choose.random() < 0.5)
        self.linear = nn.Linear(features, classes)
        self.norm = nn.BatchNorm1d(classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.linear(self.dropout(F.adaptive_avg_pool2d(x, 1).flatten(1))))


class _FlatHead(nn.Module):
    """Adaptive maximum pool of two by one windows, flattened, linear."""

    def __init__(self, features: int, classes: int, choose: random.Random) -> None:
        super().__init__()
        self.linear = nn.Linear(features * 2, classes, bias=choose.random() < 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(F.adaptive_max_pool2d(x, (2, 1)).flatten(1))
