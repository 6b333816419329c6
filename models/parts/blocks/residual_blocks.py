"""Residual blocks that put batch norm behind or before each convolution (arXiv 1603.05027).

Layers are called ``conv1``, ``bn1``, ``conv2``, … and ``shortcut``, as the common CIFAR
repositories have them.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.parts.blocks.drop_path import DropPath


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Return a convolution without bias that keeps the map's size at stride 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def _convolutions(
    inputs: int, inner: int, outputs: int, stride: int, bottleneck: bool, groups: int = 1
) -> list[nn.Conv2d]:
    if not bottleneck:
        return [convolution(inputs, inner, 3, stride), convolution(inner, outputs, 3)]
    strided = convolution(inner, inner, 3, stride, groups)
    return [convolution(inputs, inner, 1), strided, convolution(inner, outputs, 1)]


class PostActivation(nn.Module):
    """Convolutions with batch norm behind each; ReLU between them and behind the sum."""

    def __init__(
        self,
        inputs: int,
        inner: int,
        outputs: int,
        stride: int,
        *,
        bottleneck: bool,
        groups: int = 1,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.drop_path = DropPath(drop_rate)
        layers = _convolutions(inputs, inner, outputs, stride, bottleneck, groups)
        for i, conv in enumerate(layers, start=1):
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", nn.BatchNorm2d(conv.out_channels))
        self.count = len(layers)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(convolution(inputs, outputs, 1, stride))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        branch = maps
        for i in range(1, self.count + 1):
            branch = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(branch))
            branch = functional.relu(branch) if i < self.count else branch
        return functional.relu(self.drop_path(branch) + self.shortcut(maps))


class PreActivation(nn.Module):
    """Batch norm and ReLU before each convolution; a strided shortcut reads the first ReLU."""

    def __init__(
        self,
        inputs: int,
        inner: int,
        outputs: int,
        stride: int,
        *,
        bottleneck: bool,
        reduction: int | None = None,
    ) -> None:
        super().__init__()
        layers = _convolutions(inputs, inner, outputs, stride, bottleneck)
        for i, conv in enumerate(layers, start=1):
            setattr(self, f"bn{i}", nn.BatchNorm2d(conv.in_channels))
            setattr(self, f"conv{i}", conv)
        self.count = len(layers)
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(convolution(inputs, outputs, 1, stride))
        if reduction:
            self.fc1 = nn.Conv2d(outputs, outputs // reduction, 1)
            self.fc2 = nn.Conv2d(outputs // reduction, outputs, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        branch = first = functional.relu(self.get_submodule("bn1")(maps))
        for i in range(1, self.count + 1):
            branch = first if i == 1 else functional.relu(getattr(self, f"bn{i}")(branch))
            branch = getattr(self, f"conv{i}")(branch)
        if hasattr(self, "fc1"):
            means = functional.adaptive_avg_pool2d(branch, 1)
            branch = branch * torch.sigmoid(self.fc2(functional.relu(self.fc1(means))))
        return branch + (self.shortcut(first) if hasattr(self, "shortcut") else maps)
