"""Random graphs of 5 to 40 layers with branches, shared layers, joins and several outputs.

Unlike ``random_cnn``, a chain of blocks, any earlier value may be read again here, by any layer;
what the graph computes is meaningless, which is the point. The same seed gives the same network.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

import torch
from networks import randomize_batch_norm
from torch import nn
from torch.nn import functional as F

Size = tuple[int, int, int]
"""Channels, height, width."""


@dataclasses.dataclass
class _Step:
    """Apply a layer, by its number, or a function of tensors, to earlier values."""

    inputs: tuple[int, ...]
    layer: int | None = None
    function: Callable[..., torch.Tensor] | None = None


class RandomGraph(nn.Module):
    def __init__(self, layers: list[nn.Module], steps: list[_Step], outputs: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.steps, self.outputs = steps, outputs

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values = [x]
        for step in self.steps:
            apply = step.function if step.layer is None else self.layers[step.layer]
            values.append(apply(*(values[i] for i in step.inputs)))
        return tuple(values[i] for i in self.outputs)


def random_graph(seed: int) -> tuple[RandomGraph, torch.Tensor]:
    """Return a network in evaluation mode and an image for it."""
    choose = random.Random(seed)  # noqa: S311 - reproducible, not secret
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        builder = _Builder(choose)
        for _ in range(choose.randint(5, 40)):
            builder.grow()
        module = builder.finish()
        randomize_batch_norm(module)
        return module.eval(), torch.randn(1, *builder.sizes[0])


class _Builder:
    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.sizes: list[Size] = [choose.choice([(4, 9, 13), (4, 12, 7), (6, 8, 8)])]
        self.layers: list[nn.Module] = []
        self.layer_sizes: list[tuple[Size, Size]] = []
        self.steps: list[_Step] = []

    def grow(self) -> None:
        kinds = (self.layer, self.layer, self.layer, self.add, self.add, self.shared, self.cat,
                 self.scale, self.partial_shortcut, self.part, self.pad)  # fmt: skip
        self.choose.choice(kinds)()

    def finish(self) -> RandomGraph:
        last = len(self.steps)
        others = self.choose.sample(range(1, last + 1), self.choose.randint(0, min(2, last)))
        return RandomGraph(self.layers, self.steps, sorted({last, *others}))

    def pick(self) -> int:
        """Prefer late values, so that graphs are deep."""
        return max(self.choose.randrange(len(self.sizes)) for _ in range(2))

    def append(self, step: _Step, size: Size) -> None:
        self.steps.append(step)
        self.sizes.append(size)

    def layer(self) -> None:
        source = self.pick()
        size = self.sizes[source]
        layer = _layer(self.choose, size)
        with torch.no_grad():
            result = layer.eval()(torch.zeros(1, *size))
        self.layers.append(layer)
        found = tuple(result.shape[1:])
        self.layer_sizes.append((size, found))
        self.append(_Step((source,), layer=len(self.layers) - 1), found)

    def shared(self) -> None:
        """Use a layer a second time, on another value where there is one."""
        uses = [
            (layer, source)
            for layer, (size, _) in enumerate(self.layer_sizes)
            for source, have in enumerate(self.sizes)
            if have == size
        ]
        if uses:
            layer, source = self.choose.choice(uses)
            self.append(_Step((source,), layer=layer), self.layer_sizes[layer][1])

    def pair(self) -> tuple[int, int] | None:
        first = self.pick()
        alike = [i for i, size in enumerate(self.sizes) if size == self.sizes[first]]
        return first, self.choose.choice(alike)

    def add(self) -> None:
        first, second = self.pair()
        alpha = self.choose.choice([1, 1, -1, 2])
        self.append(
            _Step((first, second), function=lambda a, b: torch.add(a, b, alpha=alpha)),
            self.sizes[first],
        )

    def cat(self) -> None:
        first, second = self.pair()
        channels, *rest = self.sizes[first]
        if channels <= 12:
            self.append(
                _Step((first, second), function=lambda a, b: torch.cat([a, b], 1)),
                (2 * channels, *rest),
            )

    def part(self) -> None:
        source = self.pick()
        channels, *rest = self.sizes[source]
        half = channels // 2
        if half:
            self.append(_Step((source,), function=lambda a: a[:, :half]), (half, *rest))

    def scale(self) -> None:
        source = self.pick()
        factor = self.choose.choice([0.5, -2.0, 3])
        shift = self.choose.choice([0, 1.5])
        self.append(_Step((source,), function=lambda a: a * factor + shift), self.sizes[source])

    def partial_shortcut(self) -> None:
        first, second = self.pair()
        k = max(1, self.sizes[first][0] // 2)

        def function(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            y = a * 1.0
            y[:, :k] += b[:, :k]
            return y

        self.append(_Step((first, second), function=function), self.sizes[first])

    def pad(self) -> None:
        source = self.pick()
        channels, height, width = self.sizes[source]
        mode = self.choose.choice(["constant", "constant", "reflect"])
        if min(height, width) > 2 and max(height, width) < 16:
            self.append(
                _Step((source,), function=lambda a: F.pad(a, [1, 0, 1, 1], mode)),
                (channels, height + 2, width + 1),
            )


def _layer(choose: random.Random, size: Size) -> nn.Module:
    channels, height, width = size
    out = choose.choice([channels, channels, 4, 6])
    kernel = choose.choice([k for k in (1, 1, 2, 3, 3) if k <= min(height, width)])
    dilation = choose.choice([1, 1, 2])
    groups = choose.choice([g for g in (1, 1, 2, channels) if channels % g == 0 and out % g == 0])
    fits = dilation * (kernel - 1) < min(height, width) + 2 * (kernel // 2)
    conv = nn.Conv2d(
        channels, out, kernel, choose.choice([1, 1, 1, 2]), kernel // 2, dilation if fits else 1,
        groups, bias=choose.random() < 0.5,
    )  # fmt: skip
    options: list[Callable[[], nn.Module]] = [
        lambda: conv,
        lambda: conv,
        lambda: nn.Sequential(conv, nn.BatchNorm2d(out, affine=choose.random() < 0.8)),
        lambda: nn.BatchNorm2d(channels),
        lambda: nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv),
        lambda: nn.Sequential(nn.BatchNorm2d(channels), conv),
        lambda: choose.choice([nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Sigmoid])(),
        lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=choose.random() < 0.7),
        lambda: nn.MaxPool2d(3, 1, 1),
        lambda: nn.ConvTranspose2d(channels, out, 1, groups=groups, bias=False),
    ]
    return choose.choice(options)()
