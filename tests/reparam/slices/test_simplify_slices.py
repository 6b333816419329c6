"""SimplifySlices and ScatterToConcat: chains of pieces become as few as there are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import check_pass, graph_of, operators
from torch import nn

from cnn_export.reparam.passes.canonical.remove_no_ops import RemoveNoOps
from cnn_export.reparam.passes.slices.scatter_to_concat import ScatterToConcat
from cnn_export.reparam.passes.slices.simplify_slices import SimplifySlices

IMAGE = torch.randn(2, 6, 5, 7)


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x.neg(), x.exp())


def _cat(*parts, dim=1):
    return torch.cat(parts, dim)


SIMPLER = {
    "slice of a slice": (lambda a, b: a[:, 1:5][:, 1:3], ["slice"]),
    "three slices": (lambda a, b: a[:, 1:][:, 1:][:, :-2], ["slice"]),
    "first of a concatenation": (lambda a, b: _cat(a, b)[:, :6], []),
    "second of a concatenation": (lambda a, b: _cat(a, b)[:, 6:], []),
    "within the second": (lambda a, b: _cat(a, b)[:, 7:9], ["slice"]),
    "rows of a concatenation of rows": (lambda a, b: _cat(a, b, dim=2)[:, :, 5:-1], ["slice"]),
    "within a slice within the first": (lambda a, b: _cat(a[:, :2], a)[:, :1], ["slice"]),
    "concatenation of a concatenation": (lambda a, b: _cat(_cat(a, b), a), ["cat"]),
    "neighbours": (lambda a, b: _cat(a[:, :2], a[:, 2:5], b), ["slice", "cat"]),
    "all of it again": (lambda a, b: _cat(a[:, :2], a[:, 2:4], a[:, 4:]), []),
}


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("case", SIMPLER)
def test_simplifies(case, dynamic):
    function, expected = SIMPLER[case]
    module = _Function(lambda a, b: function(a, b) * 2)
    image = IMAGE[:1] if dynamic else IMAGE
    checked = check_pass(SimplifySlices(), module, image, dynamic=dynamic)
    kept = [name for name in checked.ops if name in ("slice", "cat")]
    assert kept == expected
    assert checked.result.modified


STAYS = {
    "slices of two dimensions": lambda a, b: a[:, 1:4][:, :, 1:3],
    "steps": lambda a, b: a[:, ::2][:, 1:],
    "across the pieces": lambda a, b: _cat(a, b)[:, 5:7],
    "another dimension": lambda a, b: _cat(a, b)[:, :, 1:],
    "read by others too": lambda a, b: _cat(c := _cat(a, b), a).sum() + c,
    "other order": lambda a, b: _cat(a[:, 2:], a[:, :2]),
    "gap": lambda a, b: _cat(a[:, :2], a[:, 3:]),
    "concatenation along another dimension": lambda a, b: _cat(
        _cat(a, b, dim=2), _cat(b, a, dim=2)
    ),
    "neighbours along another dimension": lambda a, b: _cat(a[:, :3], a[:, 3:], dim=3),
}


@pytest.mark.parametrize("case", STAYS)
def test_stays(case):
    function = STAYS[case]
    checked = check_pass(SimplifySlices(), _Function(lambda a, b: function(a, b) * 2), IMAGE)
    assert not checked.result.modified


def test_leaves_memory_that_is_written_to():
    def function(a, b):
        part = a[:, 1:5][:, 1:3]
        a.mul_(2)
        return part + 0

    checked = check_pass(SimplifySlices(), _Function(function), IMAGE)
    assert not checked.result.modified


CUT = st.tuples(st.integers(0, 1), st.integers(0, 11), st.integers(1, 12), st.integers(0, 3))


@settings(max_examples=25)
@given(st.lists(CUT, min_size=1, max_size=6))
def test_random_cuts_and_concatenations_are_equal(cuts):
    def function(a, b):
        seen = [a, b]
        for joins, start, length, which in cuts:
            value = seen[which % len(seen)]
            if joins:
                seen.append(_cat(value, seen[start % len(seen)]))
            else:
                first = start % value.shape[1]
                seen.append(value[:, first : first + length])
        return [each * 2 for each in seen[2:]]

    check_pass(SimplifySlices(), _Function(function), IMAGE)


SCATTERS = {
    "middle": lambda a, b: a.slice_scatter(b[:, :2], 1, 2, 4),
    "start": lambda a, b: a.slice_scatter(b[:, :2], 1, 0, 2),
    "end of columns": lambda a, b: a.slice_scatter(b[..., :2], -1, -2),
    "whole": lambda a, b: a.slice_scatter(b, 1),
    "layer": lambda a, b: a.select_scatter(b[:, 0], 1, -1),
    "one after the other": lambda a, b: a.slice_scatter(b[:, :1], 1, 0, 1).select_scatter(
        b[:, :, 0], 2, 3
    ),
}


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("case", SCATTERS)
def test_scatters_become_concatenations(case, dynamic):
    module = _Function(SCATTERS[case])
    image = IMAGE[:1] if dynamic else IMAGE
    checked = check_pass(ScatterToConcat(), module, image, dynamic=dynamic)
    assert not any("scatter" in name for name in checked.ops)
    assert ("cat" in checked.ops) == (case != "whole")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda a, b: a.slice_scatter(b[:, ::2], 1, 0, 6, 2), "its step is 2"),
        (lambda a, b: a.slice_scatter(b[:, :2].half(), 1, 0, 2), "to has another dtype than neg"),
        (
            lambda a, b: a.slice_scatter(b[:, :2], 1, 0, 2) + a.mul_(2),
            "neg is written to in place",
        ),
    ],
)
def test_scatters_that_stay(function, reason):
    graph_module = graph_of(_Function(function).double(), IMAGE.double())
    result = ScatterToConcat()(graph_module)
    assert not result.modified
    assert [each.reason for each in result.refusals] == [reason]


def test_functional_copies_are_read_through():
    """What a decomposed program makes of ``y[:, :2] = x``."""
    exported = torch.export.export(_Function(_assign), (IMAGE,), strict=False).run_decompositions()
    graph_module = exported.module(check_guards=False)
    expected = graph_module(IMAGE)
    names = {node.name for node in graph_module.graph.nodes}
    assert any("scatter" in name for name in names)
    for each in (RemoveNoOps(), ScatterToConcat(), SimplifySlices(), RemoveNoOps()):
        each(graph_module)
    assert operators(graph_module) == ["neg", "exp", "slice", "slice", "cat"]
    assert torch.equal(graph_module(IMAGE), expected)


def _assign(a, b):
    a[:, :2] = b[:, :2]
    return a
