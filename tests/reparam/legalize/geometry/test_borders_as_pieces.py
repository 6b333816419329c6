"""BordersAsPieces: borders that continue an image, by slices and concatenations."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.graph.operators import arguments, operator_name
from cnn_export.reparam.passes.legalize.geometry.borders_as_pieces import BordersAsPieces

MOST = 5


class _Padded(nn.Module):
    def __init__(self, widths, mode):
        super().__init__()
        self.widths, self.mode = widths, mode

    def forward(self, x):
        return F.pad(x * 2, self.widths, self.mode)


def check(widths, mode, shape=(2, 3, 6, 7), **how):
    return check_pass(BordersAsPieces(MOST), _Padded(widths, mode), torch.randn(shape), **how)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("widths", [(1, 1, 1, 1), (2, 1, 0, 2), (4, 3, 4, 4), (0, 2, 0, 0)])
def test_replaces(mode, widths):
    checked = check(widths, mode)
    assert set(checked.ops) == {"mul", "slice", "cat"}
    joins = [node for node in checked.graph_module.graph.nodes if operator_name(node) == "cat"]
    assert max(len(arguments(node)["tensors"]) for node in joins) <= MOST


def test_no_concatenation_reads_one_along_its_own_axis():
    """Converters join such two again, and have more than they may."""
    checked = check((3, 3, 3, 3), "reflect")
    for node in checked.graph_module.graph.nodes:
        if operator_name(node) == "cat":
            bound = arguments(node)
            inner = [each for each in bound["tensors"] if operator_name(each) == "cat"]
            assert all(arguments(each)["dim"] != bound["dim"] for each in inner)


def test_a_run_of_rows_is_one_slice():
    assert check((3, 3, 3, 3), "circular").ops.count("slice") == 4


def test_a_wide_reflection_is_two_products():
    checked = check((5, 5, 5, 5), "reflect")
    assert checked.ops == ["mul", "transpose", "linear", "transpose", "linear"]


@pytest.mark.parametrize(
    ("widths", "shape", "dynamic", "reason"),
    [
        ((1, 1), (2, 6, 7), False, "it pads other dimensions than rows and columns"),
        ((1, 1, 1, 1), (1, 3, 6, 7), True, "the sizes of its input are not known"),
    ],
)
def test_refuses(widths, shape, dynamic, reason):
    assert check(widths, "reflect", shape, dynamic=dynamic).reasons == [reason]


def test_leaves_constants():
    assert not check((1, 1, 1, 1), "constant").result.modified


def test_leaves_modes_that_a_format_has():
    module = _Padded((1, 1, 1, 1), "reflect")
    only = BordersAsPieces(MOST, ("circular",))
    assert not check_pass(only, module, torch.randn(1, 3, 6, 7)).result.modified


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("widths", [(-1, -1, -1, -1), (-1, 0, 0, -2), (-1, 2, 0, 1), (2, -2, 1, 1)])
def test_a_crop_is_a_slice(mode, widths):
    assert set(check(widths, mode).ops) <= {"mul", "slice", "cat"}


class _Mask(nn.Module):
    def __init__(self, widths, mode):
        super().__init__()
        self.widths, self.mode = widths, mode

    def forward(self, x):
        return F.pad(x > 0, self.widths, self.mode), F.pad((x * 9).int(), self.widths, self.mode)


def test_integers_are_no_products():
    image = torch.randn(1, 3, 6, 7)
    pieces = check_pass(BordersAsPieces(MOST), _Mask((1, -1, 1, -1), "circular"), image)
    assert "linear" not in pieces.ops
    wide = check_pass(BordersAsPieces(MOST), _Mask((5, 5, 5, 5), "circular"), image)
    assert "linear" not in wide.ops


class _Infinite(nn.Module):
    def forward(self, x):
        return F.pad(x.masked_fill(x > 0, float("-inf")), (5, 5, 5, 5), "reflect").relu()


def test_infinities_are_no_products():
    checked = check_pass(BordersAsPieces(MOST), _Infinite(), torch.randn(1, 3, 6, 7))
    assert "linear" not in checked.ops
    assert "infinities" in checked.reasons[0]
