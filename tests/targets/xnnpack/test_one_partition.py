"""After the stage XNNPACK takes a whole network of every family in one partition."""

from __future__ import annotations

from pathlib import Path

import networks
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnn_export import export

TARGETS = ["tflite", "executorch"]
IMAGE = (1, 3, 20, 28)


def _conv(inputs: int, outputs: int, **options: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, bias=False, **options), nn.BatchNorm2d(outputs))


class _Sandglass(nn.Module):
    """MobileNeXt's block with its official slice assignment, ``shared`` channels of 16."""

    def __init__(self, shared: int) -> None:
        super().__init__()
        self.shared = shared
        self.conv = nn.Sequential(
            _conv(16, 16, kernel_size=3, padding=1, groups=16),
            nn.ReLU6(inplace=True),
            _conv(16, 4, kernel_size=1),
            _conv(4, 16, kernel_size=1),
            nn.ReLU6(inplace=True),
            _conv(16, 16, kernel_size=3, padding=1, groups=16),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv(x)
        out[:, : self.shared] = out[:, : self.shared] + x[:, : self.shared]
        return out


class _Shuffle(nn.Module):
    """ShuffleNetV2's unit: split, one half through convolutions, concatenate, shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            _conv(8, 8, kernel_size=1),
            nn.ReLU(inplace=True),
            _conv(8, 8, kernel_size=3, padding=1, groups=8),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept, worked = x.chunk(2, 1)
        out = torch.cat([kept, self.branch(worked)], 1)
        batch, channels, height, width = out.shape
        grouped = out.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        return grouped.view(batch, channels, height, width)


class _SelectedShuffle(_Shuffle):
    """The same unit as its authors write it: a shuffle in front, which ends in selections."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        pairs = x.reshape(batch * channels // 2, 2, height * width).permute(1, 0, 2)
        halves = pairs.reshape(2, -1, channels // 2, height, width)
        return torch.cat([halves[0], self.branch(halves[1])], 1)


class _Averaged(nn.Module):
    """ShuffleNetV1's pooled shortcut, which counts its padding."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _conv(16, 8, kernel_size=3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([F.avg_pool2d(x[:, :8], 3, 1, 1), F.relu(self.conv(x))], 1)


class _Dense(nn.Module):
    """DenseNet's layers: each joins what all before it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_conv(16 + 4 * i, 4, kernel_size=1) for i in range(6))
        self.transition = _conv(16 + 4 * 6, 16, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(F.relu(layer(torch.cat(maps, 1))))
        return self.transition(torch.cat(maps, 1))


class _Cropped(nn.Module):
    """A convolution whose result is cut more than its padding widened it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _conv(16, 16, kernel_size=3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.conv(x)[:, :, 3:, 2:-1])


class _Ghost(nn.Module):
    """GhostNet's module: cheap features beside dear ones, cut to size by a slice of them all."""

    def __init__(self) -> None:
        super().__init__()
        self.dear = _conv(16, 8, kernel_size=1)
        self.cheap = _conv(8, 8, kernel_size=3, padding=1, groups=8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dear = F.relu(self.dear(x), inplace=True)
        return torch.cat([dear, self.cheap(dear)], 1)[:, :16]


class _SqueezeExcite(nn.Module):
    """SkipNet's gate, with the hard sigmoid as authors write it."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(16, 4), nn.Linear(4, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = F.adaptive_avg_pool2d(x, 1).view(x.shape[0], 16)
        gate = F.relu6(self.up(F.relu(self.down(pooled))) + 3) / 6
        return x * gate.view(x.shape[0], 16, 1, 1)


class _Bordered(nn.Module):
    """A convolution after a border of per-channel values, assigned side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3)
        self.register_buffer("value", torch.linspace(-1, 1, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = F.pad(F.relu(x), (1, 1, 1, 1))
        value = self.value.view(1, -1, 1, 1)
        for side in (slice(0, 1), slice(-1, None)):
            padded[:, :, side, :] = value
            padded[:, :, :, side] = value
        return F.relu(self.conv(padded))


class _Decoder(nn.Module):
    """Upsampled in all ways, between borders that continue the image, and clipped."""

    def __init__(self, conv: nn.Module, **how: object) -> None:
        super().__init__()
        self.conv, self.how = conv, how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(x, **self.how) if self.how else x
        return self.conv(x).clamp(0, 1)


def _transposed(*sizes: int, groups: int = 1) -> nn.Module:
    return nn.ConvTranspose2d(16, 16, *sizes, groups=groups)


def _padded(mode: str, width: int) -> nn.Module:
    return nn.Conv2d(16, 16, 2 * width + 1, padding=width, padding_mode=mode)


class _Attention(nn.Module):
    """A vision transformer's block: fused attention of two heads, or of one as SHViT writes it."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        shape = (batch, height * width, 3, self.heads, channels // self.heads)
        q, k, v = self.qkv(self.norm(tokens)).reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v) if self.heads > 1 else _one_head(q, k, v)
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(batch, -1, channels))
        return tokens.transpose(1, 2).reshape(batch, channels, height, width)


def _one_head(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    scores = q.squeeze(1) @ k.squeeze(1).transpose(-2, -1)
    return (scores.softmax(-1) @ v.squeeze(1)).unsqueeze(1)


class _Statistics(nn.Module):
    """Norms, reductions and powers of many kinds, CBAM's among them."""

    def __init__(self) -> None:
        super().__init__()
        norms = nn.GroupNorm(1, 16, 0.1), nn.GroupNorm(4, 16, 0.1), nn.InstanceNorm2d(16, 0.1)
        self.norms = nn.Sequential(*norms)
        self.gate, self.response = nn.Conv2d(2, 1, 3, padding=1), nn.LocalResponseNorm(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.normalize(x + self.norms(x), dim=1)
        gate = self.gate(torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], 1))
        powers = (x.abs() + 1) ** 1.5 * x.sum((2, 3), keepdim=True) + x.amax((2, 3), keepdim=True)
        return self.response(powers * torch.sigmoid(gate))


class _Line(nn.Module):
    """A network on the pixels in a row, as one of sounds, with slopes of lines and of vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Sequential(
            nn.Conv1d(16, 16, 3, padding=1), nn.PReLU(16), nn.MaxPool1d(2), nn.Conv1d(16, 16, 3)
        )
        self.vector = nn.Sequential(nn.Linear(16, 16), nn.PReLU(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.line(x.flatten(2)).mean(-1)
        return x * self.vector(mean)[:, :, None, None]


class _Focus(nn.Module):
    """YOLOv5's first layer: every second row and column beside the others."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _conv(64, 16, kernel_size=3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(x, size=(12, 16), mode="bilinear")
        phases = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return F.relu(self.conv(torch.cat(phases, 1)))


class _Network(nn.Module):
    """A stem with a padded max pool, one block, and a classifier."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.stem, self.block, self.head = _conv(3, 16, kernel_size=3), block, nn.Linear(16, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.stem(image), inplace=True), 3, 2, 1)
        return self.head(self.block(x).mean((2, 3)))


BLOCKS = {
    "MobileNeXt, all channels": lambda: _Sandglass(16),
    "MobileNeXt, half of them": lambda: _Sandglass(8),
    "ShuffleNetV2": _Shuffle,
    "selections, counted padding, long joins, crops": lambda: nn.Sequential(
        _SelectedShuffle(), _Averaged(), _Dense(), _Cropped()
    ),
    "GhostNet": _Ghost,
    "SkipNet": _SqueezeExcite,
    "constant border": _Bordered,
    "nearest": lambda: _Decoder(_padded("reflect", 1), scale_factor=2),
    "nearest to a size": lambda: _Decoder(_padded("replicate", 1), size=(15, 20)),
    "bicubic": lambda: _Decoder(_padded("circular", 2), scale_factor=2, mode="bicubic"),
    "transposed": lambda: nn.Sequential(
        _Decoder(_transposed(3, 2, 1, 1)), _Decoder(_transposed(4, 2, 1, 0, groups=16))
    ),
    "Focus": _Focus,
    "wide reflections": lambda: nn.Sequential(
        _Decoder(_padded("reflect", 3)), nn.ReflectionPad2d(5), nn.Conv2d(16, 16, 3)
    ),
    "attention": lambda: nn.Sequential(_Attention(2), _Attention(1)),
    "activations": lambda: nn.Sequential(nn.Softplus(), nn.Mish(), nn.ELU(), nn.SELU()),
    "norms and reductions": _Statistics,
    "lines": _Line,
}


@pytest.mark.parametrize("block", BLOCKS)
def test_small_networks(block: str, out: Path) -> None:
    torch.manual_seed(3)
    module = networks.seeded(_Network(BLOCKS[block]()))
    result = export(module, TARGETS, output=out, example_inputs=[torch.randn(IMAGE)])
    splits = {each.manifest.target: each.manifest.partitions for each in result.artifacts}
    assert {name: split.partitions for name, split in splits.items()} == dict.fromkeys(TARGETS, 1)
    assert all(split.outside == [] for split in splits.values())
    assert all(split.delegated_ops >= 5 for split in splits.values())


def test_without_the_stage_the_pieces_are_many(out: Path) -> None:
    """The measure is one that can fail."""
    module = networks.seeded(_Network(_Sandglass(8)))
    options = {"output": out, "example_inputs": [torch.randn(IMAGE)], "reparam": False}
    result = export(module, TARGETS, **options)
    assert all(each.manifest.partitions.partitions > 1 for each in result.artifacts)
