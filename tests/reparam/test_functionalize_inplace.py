"""FunctionalizeInplace: in-place spelling goes where nobody can tell, and stays otherwise."""

import pytest
import torch
from pass_checks import check_pass, graph_of, operators
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.aliases import storage_groups, written_nodes
from cnn_export.reparam.passes.functionalize_inplace import FunctionalizeInplace


class _Function(nn.Module):
    """A convolution, then a function of (its output, the input)."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(4, 4, 3, padding=1), function
        self.register_buffer("state", torch.ones(4, 1, 1))

    def forward(self, x):
        return self.function(self.conv(x), x, self)


def _run(function, dynamic=False):
    image = torch.randn(1, 4, 5, 7)
    return check_pass(FunctionalizeInplace(), _Function(function), image, dynamic=dynamic)


FUNCTIONAL = {
    "relu": (lambda y, x, m: F.relu(y, inplace=True), "relu"),
    "relu6": (lambda y, x, m: F.relu6(y, inplace=True), "relu6"),
    "hardtanh": (lambda y, x, m: F.hardtanh(y, -1, 2, inplace=True), "hardtanh"),
    "hardswish": (lambda y, x, m: F.hardswish(y, inplace=True), "hardswish"),
    "dropout": (lambda y, x, m: F.dropout(y, 0.5, False, inplace=True) * 2, "dropout"),
    "add": (lambda y, x, m: y.add_(x, alpha=2), "add"),
    "add to itself": (lambda y, x, m: y.add_(y), "add"),
    "clamp": (lambda y, x, m: y.clamp_(-0.1, 0.3), "clamp"),
    "chain": (lambda y, x, m: y.add_(x).mul_(0.5).relu_(), "relu"),
    "read again": (lambda y, x, m: (y.relu_(), y + x), "relu"),
    "view first": (lambda y, x, m: y.flatten(1).relu_(), "relu"),
    "on an input": (lambda y, x, m: x.relu_() + y, "relu"),
    "view after": (lambda y, x, m: (y.relu_().flatten(1), y[:, 1:]), "relu"),
}


@pytest.mark.parametrize("case", FUNCTIONAL)
def test_becomes_functional(case):
    function, expected = FUNCTIONAL[case]
    checked = _run(function)
    assert checked.result.modified
    assert checked.result.refusals == ()
    assert expected in checked.ops
    assert not any(name.endswith("_") for name in checked.ops)
    assert written_nodes(checked.graph_module.graph) == set()


def test_keeps_a_dynamic_batch():
    assert "add" in _run(lambda y, x, m: y.add_(x).relu_(), dynamic=True).ops


def _write_part(y, x, m):
    y[:, :2] += x[:, :2]
    return y


def _write_whole_read_old_view(y, x, m):
    old = y.view(1, 4, 35)
    y.mul_(2)
    return old


def _write_through_view(y, x, m):
    y.flatten(1).relu_()
    return y


def _write_state(y, x, m):
    m.state.add_(1)
    return y * m.state


REFUSED = {
    "slice assignment": (_write_part, "writes to memory of conv2d, which slice_3 reads later"),
    "old view": (_write_whole_read_old_view, "writes to memory of view"),
    "through a view": (_write_through_view, "which output reads later"),
    "state": (_write_state, "changes the stored tensor state"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    function, reason = REFUSED[case]
    module = _Function(function).double()
    image = torch.randn(1, 4, 5, 7, dtype=torch.float64)
    graph_module = graph_of(module, image)
    before = operators(graph_module)
    result = FunctionalizeInplace()(graph_module)
    assert not result.modified
    assert operators(graph_module) == before
    assert reason in result.refusals[0].reason


def test_refuses_a_write_that_converts():
    checked = _run(lambda y, x, m: y.argmax(1).mul_(2).add_(1).float())
    assert checked.result.modified
    integers = graph_of(
        _Function(lambda y, x, m: y.argmax(1).copy_(x[:, 0])), torch.randn(1, 4, 5, 7)
    )
    result = FunctionalizeInplace()(integers)
    assert "copy_ has no functional form" in result.refusals[0].reason


def test_groups_follow_views_and_in_place_results_but_not_copies():
    def function(y, x, m):
        view = y.transpose(1, 2)[:, 1:]
        copy = view.clone()
        return view.relu_() + copy.sum()

    graph = graph_of(_Function(function), torch.randn(1, 4, 5, 7)).graph
    groups = storage_groups(graph)
    by_name = {node.name: node for node in graph.nodes}
    names = {node.name for node in groups[by_name["conv2d"]]}
    assert names == {"conv2d", "transpose", "slice_1", "relu_"}
    assert groups[by_name["clone"]] == {by_name["clone"]}


def test_new_nodes_know_the_source_line():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
    graph_module = graph_of(module, torch.randn(1, 3, 5, 7))
    FunctionalizeInplace()(graph_module)
    relu = next(node for node in graph_module.graph.nodes if "aten.relu" in str(node.target))
    assert "activation.py" in relu.meta["stack_trace"]


def test_readers_of_the_written_node_itself_read_the_result():
    """The trace rewires them already; a graph from elsewhere may not."""
    graph_module = graph_of(_Function(lambda y, x, m: y.relu_() + x), torch.randn(1, 4, 5, 7))
    by_name = {node.name: node for node in graph_module.graph.nodes}
    by_name["add"].replace_input_with(by_name["relu_"], by_name["conv2d"])
    graph_module.recompile()
    image = torch.randn(1, 4, 5, 7)
    expected = graph_module(image)[0]
    assert FunctionalizeInplace()(graph_module).rewrites == ("relu_",)
    assert torch.equal(graph_module(image)[0], expected)
    assert operators(graph_module) == ["conv2d", "relu", "add"]
