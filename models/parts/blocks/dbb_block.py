"""Diverse Branch Block: "Building a Convolution as an Inception-like Unit" (arXiv 2103.13425).

Four linear branches beside one another, each normalized by itself; one k×k convolution computes
their sum. Tensor names are those of the authors' block.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional


@dataclasses.dataclass(frozen=True)
class _Shape:
    """The convolution that a block stands for; the stride is of whatever has the k×k window."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    groups: int

    def conv(self, inputs: int, outputs: int, kernel: int, padding: int = 0) -> nn.Conv2d:
        stride = self.stride if kernel == self.kernel else 1
        return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=self.groups, bias=False)

    def pointwise(self, inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
        return nn.Conv2d(inputs, outputs, 1, stride, groups=self.groups, bias=False)


class IdentityConv(nn.Conv2d):
    """A 1×1 convolution that holds its difference from the identity; inside a group, likewise."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__(channels, channels, 1, groups=groups, bias=False)
        nn.init.zeros_(self.weight)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the same size."""
        inner = self.in_channels // self.groups
        identity = torch.eye(inner, dtype=self.weight.dtype, device=self.weight.device)
        kernel = self.weight + identity.repeat(self.groups, 1).reshape(self.weight.shape)
        return functional.conv2d(input, kernel, groups=self.groups)


class NormAndPad(nn.Module):
    """Batch norm, then a border of what it gives for 0.

    In evaluation that is padding first; in training the border must not count in its statistics.
    """

    def __init__(self, channels: int, pixels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.pads = [pixels] * 4

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, C, H + 2p, W + 2p)."""
        if not self.training:
            return self.bn(functional.pad(maps, self.pads))
        normalized, value = self.bn(maps), self._value()
        return functional.pad(normalized - value, self.pads) + value

    def _value(self) -> torch.Tensor:
        """Return the border, (1, C, 1, 1): running statistics in training too, as the authors'."""
        norm = self.bn
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError("the border needs the running statistics of its batch norm")
        scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
        return (norm.bias.detach() - norm.running_mean * scale).reshape(1, -1, 1, 1)


class DiverseBranchBlock(nn.Module):
    """``k×k + 1×1 + 1×1 then k×k + 1×1 then average``, or after deployment one convolution.

    Every convolution has its batch norm behind it; padding is ``kernel // 2``. Depthwise blocks
    have no 1×1 branch, average the input itself, and have twice the channels between the two
    convolutions.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        relu: bool = False,
        deploy: bool = False,
    ) -> None:
        super().__init__()
        self.activation = nn.ReLU() if relu else nn.Identity()
        shape = _Shape(inputs, outputs, kernel, stride, groups)
        if deploy:
            self.dbb_reparam = nn.Conv2d(
                inputs, outputs, kernel, stride, kernel // 2, groups=groups
            )
            return
        conv = shape.conv(inputs, outputs, kernel, kernel // 2)
        self.dbb_origin = _named(conv=conv, bn=nn.BatchNorm2d(outputs))
        self.dbb_avg = _average(shape)
        if groups < outputs:
            pointwise = shape.pointwise(inputs, outputs, stride)
            self.dbb_1x1 = _named(conv=pointwise, bn=nn.BatchNorm2d(outputs))
        self.dbb_1x1_kxk = _sequence(shape)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        if hasattr(self, "dbb_reparam"):
            return self.activation(self.dbb_reparam(maps))
        total = self.dbb_origin(maps)
        if hasattr(self, "dbb_1x1"):
            total = total + self.dbb_1x1(maps)
        return self.activation(total + self.dbb_avg(maps) + self.dbb_1x1_kxk(maps))


def _average(shape: _Shape) -> nn.Sequential:
    """The average branch; only where channels mix does a convolution stand before it."""
    kernel, padding, outputs = shape.kernel, shape.kernel // 2, shape.outputs
    normalized = nn.BatchNorm2d(outputs)
    if shape.groups == outputs:
        return _named(avg=nn.AvgPool2d(kernel, shape.stride, padding), avgbn=normalized)
    return _named(
        conv=shape.pointwise(shape.inputs, outputs),
        bn=NormAndPad(outputs, padding),
        avg=nn.AvgPool2d(kernel, shape.stride),
        avgbn=normalized,
    )


def _sequence(shape: _Shape) -> nn.Sequential:
    """The 1×1-k×k branch."""
    if shape.groups < shape.outputs:
        inner = shape.inputs
        first: dict[str, nn.Module] = {"idconv1": IdentityConv(inner, shape.groups)}
    else:
        inner = 2 * shape.inputs
        first = {"conv1": shape.pointwise(shape.inputs, inner)}
    return _named(
        **first,
        bn1=NormAndPad(inner, shape.kernel // 2),
        conv2=shape.conv(inner, shape.outputs, shape.kernel),
        bn2=nn.BatchNorm2d(shape.outputs),
    )


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))
