"""A ResNet in four stages of units: what DingXiaoH's ACNet and DBB repositories train.

A unit is a convolution with its batch norm and, where it has one, its ReLU: plain, or one of the
blocks that merge into one convolution. Tensor names are those of the repositories.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.parts.merge_forms import FORMS, Form

STRIDES = (1, 2, 2, 2)
WIDTHS = (64, 128, 256, 512)


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution as the repositories' builders take it; padding keeps the size at stride 1."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1
    relu: bool = True


Unit = Callable[[Conv], nn.Module]
Block = Callable[[Conv, bool], nn.Module]
"""Makes a unit with a block that merges, or, where the flag says so, has been merged."""


def units(form: Form, block: Block, *, owner: str, folded: bool = False) -> Unit:
    """Return what stands in the place of a convolution in that form.

    1×1 kernels and those of a stem, 7×7 and more, have no block; ``folded``: when deployed, they
    have no batch norm either.

    Raises:
        ValueError: ``owner`` has no such form.
    """
    if form not in FORMS:
        raise ValueError(f"{owner}'s form is one of {', '.join(FORMS)}, got {form!r}")
    deployed = form == "deployed"

    def unit(conv: Conv) -> nn.Module:
        if form == "plain" or conv.kernel == 1 or conv.kernel >= 7:
            return _folded_conv(conv) if deployed and folded else conv_norm(conv)
        return block(conv, deployed)

    return unit


def conv_norm(conv: Conv) -> nn.Sequential:
    """Return the plain unit: ``conv``, ``bn`` and, if asked for, ``relu``."""
    return _unit(conv, conv=_convolution(conv, bias=False), bn=nn.BatchNorm2d(conv.outputs))


def _folded_conv(conv: Conv) -> nn.Sequential:
    """Return the plain unit after its batch norm moved into the convolution."""
    return _unit(conv, conv=_convolution(conv, bias=True))


def _convolution(conv: Conv, *, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(
        *(conv.inputs, conv.outputs, conv.kernel, conv.stride, conv.kernel // 2),
        groups=conv.groups,
        bias=bias,
    )


def _unit(spec: Conv, /, **layers: nn.Module) -> nn.Sequential:
    activation: dict[str, nn.Module] = {"relu": nn.ReLU()} if spec.relu else {}
    return nn.Sequential(OrderedDict({**layers, **activation}))


class Residual(nn.Module):
    """Two 3×3 units, or 1×1, 3×3, 1×1 to four times the width; ReLU behind the sum."""

    def __init__(self, unit: Unit, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = width * 4 if bottleneck else width
        shortcut = stride != 1 or inputs != outputs
        self.shortcut = (
            unit(Conv(inputs, outputs, 1, stride, relu=False)) if shortcut else nn.Identity()
        )
        self.conv1 = unit(Conv(inputs, width, 1) if bottleneck else Conv(inputs, width, 3, stride))
        if bottleneck:
            self.conv2 = unit(Conv(width, width, 3, stride))
            self.conv3 = unit(Conv(width, outputs, 1, relu=False))
        else:
            self.conv2 = unit(Conv(width, outputs, 3, relu=False))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        branch = self.conv2(self.conv1(maps))
        if hasattr(self, "conv3"):
            branch = self.conv3(branch)
        return functional.relu(branch + self.shortcut(maps))


class Stages(nn.Module):
    """``stage1`` to ``stage4`` and the classifier ``linear``, without the stem before them."""

    def __init__(
        self,
        unit: Unit,
        blocks: Sequence[int],
        *,
        bottleneck: bool = False,
        width: float = 1.0,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        inputs = int(WIDTHS[0] * width)
        for i, (repeats, channels, stride) in enumerate(zip(blocks, WIDTHS, STRIDES, strict=True)):
            residuals: list[nn.Module] = []
            for repeat in range(repeats):
                inner = int(channels * width)
                step = stride if repeat == 0 else 1
                residuals.append(Residual(unit, inputs, inner, step, bottleneck))
                inputs = inner * 4 if bottleneck else inner
            setattr(self, f"stage{i + 1}", nn.Sequential(*residuals))
        self.linear = nn.Linear(inputs, classes)

    def stages(self) -> Iterator[nn.Module]:
        """Yield the stages in order; their maps have strides 4, 8, 16 and 32."""
        return (getattr(self, f"stage{i}") for i in range(1, len(STRIDES) + 1))

    def forward_stages(self, maps: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of the stem's maps (N, 64·width, H, W)."""
        for stage in self.stages():
            maps = stage(maps)
        return self.linear(functional.adaptive_avg_pool2d(maps, 1).flatten(1))
