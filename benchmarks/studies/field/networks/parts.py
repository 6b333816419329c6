"""What several of the written networks are made of."""

from __future__ import annotations

from torch import nn


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    activation: type[nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Return a convolution padded to its own size, with its batch norm and an activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        activation(),
    )


def separable(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a depthwise convolution and a pointwise one, each with batch norm and ReLU."""
    depthwise = conv_norm(inputs, inputs, kernel, stride, groups=inputs)
    return nn.Sequential(*depthwise, *conv_norm(inputs, outputs, 1))
