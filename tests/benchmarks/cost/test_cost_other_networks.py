"""Networks unlike mobile classifiers: groups, dilation, transposed convolutions, attention."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cost_networks import lowered, read_cost, with_random_biases
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from cnn_export.benchmarks.cost.explanation import UNEXPLAINED, explain
from cnn_export.targets import TARGETS


class Unusual(nn.Module):
    """Rectangular, grouped and dilated, transposed with a padded result, even kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.rectangular = nn.Conv2d(3, 12, (5, 3), stride=2, padding=(2, 1))
        self.grouped = nn.Conv2d(12, 18, 3, groups=3, dilation=2, padding=2)
        self.up = nn.ConvTranspose2d(18, 8, 3, stride=2, padding=1, output_padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8, padding=1)
        self.even = nn.Conv2d(8, 4, 2, padding=1, dilation=(1, 2))
        self.head = nn.Linear(4, 7)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.rectangular(image))
        maps = self.up(functional.hardswish(self.grouped(maps)))
        maps = self.even(functional.relu6(self.depthwise(maps)))
        return self.head(maps.mean((2, 3)))


class Attention(nn.Module):
    """Patches that attend to one another: products of activations."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.project = nn.Linear(16, 48)
        self.out = nn.Linear(16, 16)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        batch, count, channels = tokens.shape
        split = self.project(tokens).reshape(batch, count, 3, 2, 8).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)
        weights = torch.einsum("bhid,bhjd->bhij", query, key).softmax(-1)
        mixed = weights @ value + functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(batch, count, channels))


NETWORKS = {"unusual": (Unusual, (1, 3, 33, 22)), "attention": (Attention, (1, 3, 20, 24))}
WITHOUT = {"unusual": {"tflite"}}
"""What litert-torch cannot convert: a padded result of a transposed convolution."""


def torch_macs(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Count with torch; its fused attention has no counter on CPUs, the plain products have."""
    kernels = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), kernels:
        module(torch.randn(shape))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", list(NETWORKS))
def test_formats_agree_with_torch_and_each_other(name: str, tmp_path: Path) -> None:
    build, shape = NETWORKS[name]
    torch.manual_seed(2)
    module = with_random_biases(build())
    targets = [target for target in TARGETS if target not in WITHOUT.get(name, set())]
    costs = {t: read_cost(lowered(module, t, tmp_path, shape)) for t in targets}
    expected = torch_macs(module, shape)
    assert {target: cost.macs for target, cost in costs.items()} == dict.fromkeys(targets, expected)
    for cost in costs.values():
        parts = explain(costs["onnx"], cost)
        assert sum(p.mac_bytes for p in parts) == cost.mac_bytes - costs["onnx"].mac_bytes
        assert UNEXPLAINED not in {part.cause for part in parts}
