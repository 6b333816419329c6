"""SplitToSlices: every item becomes a slice of the same memory."""

import operator

import pytest
import torch
from pass_checks import check_pass, graph_of, operators
from torch import nn

from cnn_export.reparam.graph.aliases import storage_groups
from cnn_export.reparam.passes.slices.split_to_slices import SplitToSlices

IMAGE = torch.randn(2, 6, 5, 7)


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x.neg())


CASES = {
    "split": (lambda x: x.split(4, 1), ["slice", "slice"]),
    "split with sizes": (lambda x: x.split([1, 3, 2], 1)[1:], ["slice", "slice"]),
    "split rows": (lambda x: x.split([2, 3], -2), ["slice", "slice"]),
    "chunk": (lambda x: x.chunk(4, 1), ["slice", "slice", "slice"]),
    "uneven chunk": (lambda x: x.chunk(3, 3)[-1] * 2, ["slice", "mul"]),
    "tensor split": (lambda x: torch.tensor_split(x, 4, 1), ["slice"] * 4),
    "tensor split at": (lambda x: torch.tensor_split(x, (1, 4), 3), ["slice"] * 3),
    "unbind": (lambda x: x.unbind(1)[1:3], ["select", "select"]),
    "narrow": (lambda x: x.narrow(1, 2, 3), ["slice"]),
    "narrow from the end": (lambda x: x.narrow(-1, -3, 2), ["slice"]),
}


@pytest.mark.parametrize("case", CASES)
def test_becomes_slices(case):
    function, expected = CASES[case]
    checked = check_pass(SplitToSlices(), _Function(function), IMAGE)
    live = [n for n in checked.graph_module.graph.nodes if n.target is operator.getitem]
    assert checked.ops == ["neg", *expected]
    assert live == []
    assert checked.result.refusals == ()


@pytest.mark.parametrize("case", ["split", "chunk", "unbind", "narrow"])
def test_keeps_a_dynamic_batch(case):
    function, expected = CASES[case]
    checked = check_pass(SplitToSlices(), _Function(function), IMAGE[:1], dynamic=True)
    assert [name for name in checked.ops if name != "sym_size"] == ["neg", *expected]


def test_the_slices_are_views_of_what_was_split():
    graph_module = graph_of(_Function(lambda x: x.split(4, 1)), IMAGE)
    SplitToSlices()(graph_module)
    nodes = {node.name: node for node in graph_module.graph.nodes}
    shared = storage_groups(graph_module.graph)[nodes["neg"]]
    assert sum(node.name.startswith("slice") for node in shared) == 2


def test_refuses_a_split_of_the_dynamic_batch():
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(
        _Function(lambda x: x.narrow(0, 0, 2)), (IMAGE,), dynamic_shapes=({0: batch},)
    )
    graph_module = exported.module(check_guards=False)
    before = operators(graph_module)
    result = SplitToSlices()(graph_module)
    assert not result.modified
    assert operators(graph_module) == before
    assert result.refusals[0].reason == "the range along dimension 0 is not known"


def test_items_counted_from_the_end():
    """The trace counts from the start; a graph from elsewhere may not."""
    graph_module = graph_of(_Function(lambda x: x.split([1, 3, 2], 1)[2] * 2), IMAGE)
    (item,) = (n for n in graph_module.graph.nodes if n.args[1:] == (2,) and "getitem" in n.name)
    item.args = (item.args[0], -1)
    SplitToSlices()(graph_module)
    assert torch.equal(graph_module(IMAGE)[0], IMAGE.neg()[:, 4:] * 2)


def test_refuses_a_list_read_as_a_whole():
    graph_module = graph_of(_Function(lambda x: x.split(3, 1)), IMAGE)
    graph = graph_module.graph
    (split,) = (node for node in graph.nodes if "split" in node.name)
    items = list(split.users)
    with graph.inserting_before(items[0]):
        whole = graph.call_function(torch.ops.aten.cat.default, (split, 1))
    whole.meta["val"] = split.args[0].meta["val"]
    items[0].replace_all_uses_with(whole)
    result = SplitToSlices()(graph_module)
    assert result.refusals[0].reason == f"{whole.name} reads all its items at once"
