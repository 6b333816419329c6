"""PhasesIntoConvolution: Focus and pixel_unshuffle as strides of the convolution behind."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.slices.phases_into_convolution import PhasesIntoConvolution

IMAGE = torch.randn(2, 3, 12, 18)


class _Joined(nn.Module):
    """A convolution of what ``take`` makes of the image."""

    def __init__(self, take, channels=12, kernel=3, **how):
        super().__init__()
        self.take, self.conv = take, nn.Conv2d(channels, 5, kernel, **how)

    def forward(self, x):
        return self.conv(self.take(x))


def focus(x):
    """Megvii's order: columns change last."""
    top, bottom = x[..., ::2, :], x[..., 1::2, :]
    return torch.cat([top[..., ::2], bottom[..., ::2], top[..., 1::2], bottom[..., 1::2]], 1)


def rows(x):
    return torch.cat([x[:, :, 2::3], x[:, :, ::3], x[:, :, 1::3]], 1)


CASES = {
    "focus": (focus, 12, {"padding": 1}),
    "focus, stride": (focus, 12, {"stride": 2, "padding": (2, 0)}),
    "rows alone": (rows, 9, {"padding": (1, 0), "bias": False}),
    "unshuffle": (lambda x: F.pixel_unshuffle(x, 3), 27, {"kernel": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_replaces(case):
    take, channels, how = CASES[case]
    checked = check_pass(PhasesIntoConvolution(), _Joined(take, channels, **how), IMAGE)
    assert checked.ops == ["conv2d"]


def test_a_dynamic_batch_stays():
    module = _Joined(focus, padding=1)
    checked = check_pass(PhasesIntoConvolution(), module, IMAGE[:1], dynamic=True)
    assert checked.ops == ["conv2d"]


def missing(x):
    return torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2]], 1)


def twice(x):
    return torch.cat([x[..., ::2, ::2], x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2]], 1)


def other(x):
    return torch.cat(
        [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], (x * 2)[..., 1::2, 1::2]], 1
    )


def cut(x):
    return torch.cat([x[..., i:10:2, j:16:2] for i in (0, 1) for j in (0, 1)], 1)


@pytest.mark.parametrize(("take", "channels"), [(missing, 9), (twice, 12), (other, 12), (cut, 12)])
def test_leaves_what_is_not_every_phase_once(take, channels):
    checked = check_pass(PhasesIntoConvolution(), _Joined(take, channels), IMAGE)
    assert not checked.result.modified


class _AlsoReturned(_Joined):
    def forward(self, x):
        phases = self.take(x)
        return self.conv(phases), phases


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (_AlsoReturned(focus), "cat is also read by conv2d, output"),
        (_Joined(focus, groups=1, dilation=2), "it has groups (1) or a dilation ([2, 2])"),
        (_Joined(focus, padding="same"), "its padding is 'same'"),
    ],
)
def test_refuses(module, reason):
    assert check_pass(PhasesIntoConvolution(), module, IMAGE).reasons == [reason]
