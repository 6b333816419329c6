"""CropsAsSlices: negative padding becomes slices."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.slices.crops_as_slices import CropsAsSlices

IMAGE = torch.randn(2, 4, 7, 10)


class _Padded(nn.Module):
    def __init__(self, widths, **options):
        super().__init__()
        self.widths, self.options = widths, options

    def forward(self, x):
        return F.pad(torch.relu(x), self.widths, **self.options)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ((-1, -2), ["slice"]),
        ((-1, 2, 0, -3), ["slice", "slice", "pad"]),
        ((0, 0, -2, 3, 0, -1), ["slice", "slice", "pad"]),
        ((-10, 3), ["slice", "pad"]),
    ],
)
def test_what_is_cut_is_a_slice(widths, expected, dynamic):
    padded = _Padded(widths, value=1.5)
    checked = check_pass(CropsAsSlices(), padded, IMAGE[:1] if dynamic else IMAGE, dynamic=dynamic)
    assert checked.ops == ["relu", *expected]


def test_padding_alone_stays():
    assert not check_pass(CropsAsSlices(), _Padded((1, 0, 2, 2)), IMAGE).result.modified


def test_refuses_what_continues_the_map():
    checked = check_pass(CropsAsSlices(), _Padded((-1, 2), mode="replicate"), IMAGE[0])
    assert checked.reasons == ["it crops one side and continues another (replicate)"]


def test_refuses_a_batch_that_is_not_known():
    padded = _Padded((0, 0, 0, 0, 0, 0, -1, 2))
    checked = check_pass(CropsAsSlices(), padded, IMAGE[:1], dynamic=True)
    assert checked.reasons == ["the size of its input is not known"]
