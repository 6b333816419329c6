"""LinesAsImages: networks on (N, C, L) as networks on one row."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.passes.legalize.shapes.lines_as_images import LinesAsImages

LINE = torch.randn(1, 4, 9)


class _Branches(nn.Module):
    """A gate, a stored term, a concatenation; and readers of lines besides."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 1)
        self.shift = nn.Parameter(torch.randn(1, 4, 1))
        self.linear = nn.Linear(9, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        one = self.one(x)
        gated = torch.sigmoid(self.other(x)) * one + self.shift
        mean = gated.mean(-1, keepdim=True)
        return torch.cat([one, gated], 1), self.linear(gated), x + mean


@pytest.mark.parametrize("dynamic", [False, True])
def test_carries_from_end_to_end(dynamic: bool) -> None:
    network = nn.Sequential(
        nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, bias=False),
        nn.PReLU(6),
        nn.Conv1d(6, 6, 3, groups=3),
        nn.GroupNorm(2, 6),
        nn.MaxPool1d(2, 1, 1),
        nn.ConvTranspose1d(6, 4, 3, 2, 1, 1),
        nn.AvgPool1d(3, 2, 1, ceil_mode=True),
    )
    ops = check_pass(LinesAsImages(), network, LINE, dynamic=dynamic).ops
    ranks = {"reshape", "unsqueeze", "squeeze"}
    assert [each for each in ops if each not in ranks] == [
        *("conv2d", "prelu", "conv2d", "group_norm", "max_pool2d", "conv_transpose2d"),
        "avg_pool2d",
    ]
    # One change of rank at either end.
    assert sum(each in ranks for each in ops) == 2


@pytest.mark.parametrize("dynamic", [False, True])
def test_gives_lines_to_all_others(dynamic: bool) -> None:
    ops = check_pass(LinesAsImages(), _Branches(), LINE, dynamic=dynamic).ops
    assert ops.count("conv2d") == 2
    assert "conv1d" not in ops


@pytest.mark.parametrize("network", [nn.ReLU(), nn.Linear(9, 2), nn.AdaptiveAvgPool1d(1)])
def test_leaves_what_has_no_convolution(network: nn.Module) -> None:
    assert not check_pass(LinesAsImages(), network, LINE).result.modified


def test_leaves_images() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.MaxPool2d(2))
    assert not check_pass(LinesAsImages(), network, torch.randn(1, 4, 9, 7)).result.modified
