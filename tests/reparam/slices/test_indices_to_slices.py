"""IndicesToSlices: stored indices that form ranges, and all others."""

import pytest
import torch
from pass_checks import check_pass, graph_of
from torch import nn

from cnn_export.reparam.passes.canonical.constant_folding import FoldConstants
from cnn_export.reparam.passes.functionalize.functionalize_inplace import FunctionalizeInplace
from cnn_export.reparam.passes.slices.indices_to_slices import IndicesToSlices

IMAGE = torch.randn(2, 6, 5, 7)
BEFORE = (FunctionalizeInplace(), FoldConstants())


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x.neg(), x.exp())


def _put(index, value):
    def function(a, b):
        a[index] = value(b)
        return a

    return function


EVERY = slice(None)
CASES = {
    "one range": (lambda a, b: a[:, [1, 2, 3]], ["slice"]),
    "two ranges": (lambda a, b: a[:, [4, 0, 1]], ["slice", "slice", "cat"]),
    "from the end": (lambda a, b: a[:, :, [-2, -1]], ["slice"]),
    "repeated": (lambda a, b: a[..., [2, 2]], ["slice", "slice", "cat"]),
    "all": (lambda a, b: a[:, [0, 1, 2, 3, 4, 5]] * 2, ["mul"]),
    "selected": (lambda a, b: a.index_select(-1, torch.tensor([5, 6])), ["slice"]),
    "assigned": (_put((EVERY, [0, 2]), lambda b: b[:, 3:5]), None),
    "assigned backwards": (_put((EVERY, [2, 1]), lambda b: b[:, 3:5]), None),
    "assigned a number": (_put((EVERY, EVERY, [0, 4]), lambda b: 1.5), None),
    "assigned and spread": (_put((EVERY, [0, 2]), lambda b: b[:1, :1]), None),
    "added": (lambda a, b: _add(a), None),
}


def _add(a):
    a[:, [0, 2]] += 1
    return a


@pytest.mark.parametrize("case", CASES)
def test_becomes_ranges(case):
    function, expected = CASES[case]
    checked = check_pass(IndicesToSlices(), _Function(function), IMAGE, before=BEFORE)
    assert checked.result.refusals == ()
    assert not any("index" in name for name in checked.ops)
    if expected is not None:
        assert checked.ops == ["neg", *expected]


def test_reading_keeps_a_dynamic_batch():
    checked = check_pass(
        IndicesToSlices(), _Function(CASES["two ranges"][0]), IMAGE[:1], dynamic=True, before=BEFORE
    )
    assert "index" not in checked.ops


REFUSED = {
    "two indices": (lambda a, b: a[[0, 1], [2, 3]], "it takes no one stored vector of indices"),
    "computed": (
        lambda a, b: a[:, b[0, :2, 0, 0].long()],
        "it takes no one stored vector of indices",
    ),
    "matrix": (
        lambda a, b: a[:, torch.tensor([[0, 1], [2, 3]])],
        "it takes no one stored vector of indices",
    ),
    "none": (lambda a, b: a[:, torch.tensor([], dtype=torch.long)], "its 0 indices form 0 ranges"),
    "permutation": (
        lambda a, b: torch.cat([a, b], 1)[:, [11, 9, 7, 5, 3, 1, 10, 8, 6]],
        "its 9 indices form 9 ranges",
    ),
    "assigned twice": (
        _put((EVERY, [1, 1]), lambda b: b[:, :2]),
        "it assigns to an index more than once",
    ),
    "accumulated": (
        lambda a, b: torch.ops.aten.index_put(a, [None, torch.tensor([1, 2])], b[:, :2], True),
        "it assigns to an index more than once",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    function, reason = REFUSED[case]
    graph_module = graph_of(_Function(function), IMAGE)
    for each in BEFORE:
        each(graph_module)
    result = IndicesToSlices()(graph_module)
    assert not result.modified
    assert [each.reason for each in result.refusals] == [reason]
