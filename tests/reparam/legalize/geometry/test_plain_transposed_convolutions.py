"""PlainTransposedConvolutions: those that TFLite's operator is, or plain convolutions."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.passes.legalize.geometry.plain_transposed_convolutions import (
    PlainTransposedConvolutions,
)

PLAIN = PlainTransposedConvolutions(4)
IMAGE = torch.randn(2, 8, 5, 7)


def layer(kernel, stride, padding, output_padding=0, groups=1, dilation=1, bias=True):
    return nn.Sequential(
        nn.Conv2d(8, 8, 1),
        nn.ConvTranspose2d(8, 16, kernel, stride, padding, output_padding, groups, bias, dilation),
    )


UNPADDED = {
    "output padding": (3, 2, 1, 1),
    "odd kernel": (3, 2, 1),
    "large padding": (4, 2, 3),
    "output padding beyond the padding": (2, 2, 0, 1),
    "strides of two sizes": (3, (2, 1), 1, (1, 0)),
    "dilated": (3, 2, 0, 1, 1, 2),
    "few groups": (3, 2, 1, 1, 2),
    "without bias": (5, 3, 1, 2, 1, 1, False),
    "cut beyond the kernel": (3, 1, 3, 0),
}


@pytest.mark.parametrize("case", UNPADDED)
def test_pads_nothing(case):
    checked = check_pass(PLAIN, layer(*UNPADDED[case]), IMAGE)
    assert checked.ops.count("conv_transpose2d") == 1
    assert set(checked.ops) <= {"conv2d", "conv_transpose2d", "slice"}
    assert len(checked.result.rewrites) == 1


GROUPED = {
    "each channel": (4, 2, 1, 0, 8),
    "output padding": (3, 2, 1, 1, 8),
    "strides of two sizes": (3, (2, 1), 1, (1, 0), 8),
    "dilated": (3, 2, 1, 1, 8, 2),
    "no stride": (3, 1, 1, 0, 8),
    "padding as wide as the kernel": (3, 2, 3, 1, 8),
    "output padding of a stride": (3, 2, 1, 2, 8, 3),
    "both, on one axis": ((5, 3), (2, 1), (0, 3), (0, 0), 8, (1, 1)),
    "output padding beyond the padding": (3, (2, 1), 0, (1, 2), 8, (1, 3)),
}


@pytest.mark.parametrize("case", GROUPED)
def test_many_groups_convolve_a_map_with_zeros(case):
    checked = check_pass(PLAIN, layer(*GROUPED[case]), IMAGE)
    assert "conv_transpose2d" not in checked.ops
    assert checked.ops.count("conv2d") == 2


def test_a_group_per_channel_is_convolved_wherever_groups_are_taken():
    pads = PlainTransposedConvolutions(None, takes_padding=True)
    each = check_pass(pads, layer(4, 2, 1, 0, 8), IMAGE)
    assert each.ops.count("conv2d") == 2
    for kept in (layer(3, 2, 1, 1), layer(3, 2, 1, 1, 4)):
        assert not check_pass(pads, kept, IMAGE).result.modified


@pytest.mark.parametrize("taken", [(4, 2, 1), (2, 2, 0), (3, 1, 1), (6, 2, 2), (3, 1, 2, 0, 1, 2)])
def test_leaves_what_the_operator_is(taken):
    assert not check_pass(PLAIN, layer(*taken), IMAGE).result.modified


class _Computed(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 4, 3, 3))

    def forward(self, x):
        weight = self.weight * x.mean()
        return nn.functional.conv_transpose2d(x, weight, None, 2, 1, 1)


@pytest.mark.parametrize(
    ("module", "image", "dynamic", "reason"),
    [
        (_Computed(), IMAGE, False, "its weights are computed in the graph"),
        (layer(3, 2, 1), IMAGE[0], False, "its input has 3 dimensions"),
        (layer(3, 2, 1), IMAGE[:1], True, "the sizes of its input are not known"),
    ],
)
def test_refuses(module, image, dynamic, reason):
    assert check_pass(PLAIN, module, image, dynamic=dynamic).reasons == [reason]
