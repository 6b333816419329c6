"""FoldAffineThroughConcatenation: each joined convolution takes its own channels' part."""

from __future__ import annotations

import pytest
import torch
from networks import randomize_batch_norm
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.pass_pipeline import DEFAULT_PASSES
from cnn_export.reparam.passes.affine.fold_affine_through_concatenation import (
    FoldAffineThroughConcatenation,
)

IMAGE = torch.randn(2, 6, 7, 10)


class Joined(nn.Module):
    """norm(cat([f(x) for f in parts])), or what a test makes of it."""

    def __init__(self, *parts: nn.Module, channels: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.norm = nn.BatchNorm2d(channels)
        randomize_batch_norm(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(torch.cat([part(x) for part in self.parts], 1)).relu()


def _mixed() -> Joined:
    """Kernels of several sizes, strides and groups, with and without bias."""
    return Joined(
        nn.Conv2d(6, 6, 3, 2, 1, groups=6, bias=False),
        nn.Conv2d(6, 4, 5, 2, 2, groups=2),
        nn.Conv2d(6, 3, (1, 3), 2, (0, 1), bias=False),
        channels=13,
    )


@pytest.mark.parametrize("dynamic", [False, True])
def test_folds(dynamic: bool) -> None:
    module = _mixed()
    checked = check_pass(FoldAffineThroughConcatenation(), module, IMAGE, dynamic=dynamic)
    assert checked.ops == ["conv2d", "conv2d", "conv2d", "cat", "relu"]
    assert checked.result.refusals == ()


def test_folds_transposed_and_products() -> None:
    class Scaled(Joined):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            joined = torch.cat([part(x) for part in self.parts], 1)
            return joined * self.norm.weight[:, None, None].detach() - 3

    parts = nn.ConvTranspose2d(6, 4, 2, 2), nn.ConvTranspose2d(6, 6, 2, 2, groups=2, bias=False)
    checked = check_pass(
        FoldAffineThroughConcatenation(),
        Scaled(*parts, channels=10),
        IMAGE,
        before=DEFAULT_PASSES[:8],
    )
    assert checked.ops == ["conv_transpose2d", "conv_transpose2d", "cat"]


def test_a_layer_called_twice_keeps_one_set_of_weights_per_map() -> None:
    class Twice(Joined):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            (conv,) = self.parts
            return self.norm(torch.cat([conv(x), conv(x.flip(3))], 1))

    module = Twice(nn.Conv2d(6, 4, 3), channels=8)
    with torch.no_grad():
        for tensor in (*module.norm.parameters(), *module.norm.buffers()):
            if tensor.ndim:
                tensor[4:] = tensor[:4]
    checked = check_pass(FoldAffineThroughConcatenation(), module, IMAGE)
    assert checked.result.modified
    assert len(checked.graph_module.state_dict()) == 2


def _also_read(module: Joined, x: torch.Tensor) -> torch.Tensor:
    joined = torch.cat([part(x) for part in module.parts], 1)
    return module.norm(joined) + joined.sigmoid()


def _part_read(module: Joined, x: torch.Tensor) -> torch.Tensor:
    first, second = (part(x) for part in module.parts)
    return module.norm(torch.cat([first, second], 1)) * first.mean()


def _same_part(module: Joined, x: torch.Tensor) -> torch.Tensor:
    first = module.parts[0](x)
    return module.norm(torch.cat([first, first], 1))


def _activated(module: Joined, x: torch.Tensor) -> torch.Tensor:
    first, second = (part(x) for part in module.parts)
    return module.norm(torch.cat([first.relu(), second], 1))


def _rows(module: Joined, x: torch.Tensor) -> torch.Tensor:
    return module.norm(torch.cat([module.parts[0](x), module.parts[0](x)], 2).repeat(1, 2, 1, 1))


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (_also_read, "cat is also read: batch_norm, sigmoid"),
        (_part_read, "conv2d is also read: cat, mean"),
        (_same_part, "cat joins one value twice"),
        (_activated, "relu is no convolution: in parts the map would be as many operators"),
        (_rows, None),
    ],
)
def test_refuses(forward: object, reason: str | None) -> None:
    kind = type("Other", (Joined,), {"forward": forward})
    module = kind(nn.Conv2d(6, 4, 3), nn.Conv2d(6, 4, 3), channels=8)
    checked = check_pass(FoldAffineThroughConcatenation(), module, IMAGE)
    assert not checked.result.modified
    assert checked.reasons == ([reason] if reason else [])
