"""NearestAsCopies: every pixel beside its copies, in two spellings."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.legalize.geometry.nearest_as_copies import NearestAsCopies

SPELLINGS = [NearestAsCopies("concatenations"), NearestAsCopies("products")]


class _Resized(nn.Module):
    def __init__(self, mode="nearest", **how):
        super().__init__()
        self.how = {"mode": mode, **how}

    def forward(self, x):
        return F.interpolate(x * 2, **self.how)


CASES = {
    "twice": {"scale_factor": 2},
    "thrice": {"scale_factor": 3},
    "to a size": {"size": (10, 21)},
    "rows only": {"size": (15, 7)},
    "exact": {"scale_factor": 2, "mode": "nearest-exact"},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("spelling", SPELLINGS, ids=["concatenations", "products"])
def test_replaces(spelling, case):
    checked = check_pass(spelling, _Resized(**CASES[case]), torch.randn(2, 3, 5, 7))
    assert len(checked.result.rewrites) == 1
    assert not any("upsample" in name for name in checked.ops)


def test_infinite_pixels_stay_where_they_are():
    image = torch.zeros(1, 2, 3, 3)
    image[0, 0, 1, 1] = torch.inf
    for spelling in SPELLINGS:
        checked = check_pass(spelling, _Resized(scale_factor=2), torch.zeros(1, 2, 3, 3))
        (found,) = checked.graph_module(image.double())
        assert int(found.isinf().sum()) == 4
        assert not found.isnan().any()


@pytest.mark.parametrize("how", [{"size": (8, 14)}, {"scale_factor": 1.5}, {"size": (3, 4)}])
def test_refuses_uneven_repeats(how):
    checked = check_pass(SPELLINGS[0], _Resized(**how), torch.randn(1, 3, 5, 7))
    assert checked.reasons == ["it does not repeat every row and column equally often"]


def test_a_scale_that_is_given_decides_not_the_size():
    """5 rows at scale 3.05 are 15 rows, of which the fourth still reads the first."""
    checked = check_pass(SPELLINGS[0], _Resized(scale_factor=3.05), torch.randn(1, 3, 5, 7))
    assert checked.reasons == ["it does not repeat every row and column equally often"]


def test_refuses_a_batch_that_is_not_known():
    checked = check_pass(
        SPELLINGS[1], _Resized(scale_factor=2), torch.randn(1, 3, 5, 7), dynamic=True
    )
    assert checked.reasons == ["the sizes of its input are not known"]


def test_leaves_bilinear():
    checked = check_pass(
        SPELLINGS[0], _Resized(scale_factor=2, mode="bilinear"), torch.randn(1, 3, 5, 7)
    )
    assert not checked.result.modified
    assert checked.reasons == []
