"""FunctionalizeInplace: in-place spelling goes where nobody can tell, and stays otherwise."""

import pytest
import torch
from pass_checks import check_pass, graph_as_traced, graph_of, operators
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.graph.aliases import storage_groups, written_nodes
from cnn_export.reparam.passes.functionalize.functionalize_inplace import FunctionalizeInplace


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


def _write_through_possible_view(y, x, m):
    y.flatten(1).relu_()
    return y


def _write_after_possible_view(y, x, m):
    old = y.reshape(1, 4, 35)
    y.mul_(2)
    return old


def _write_beside_possible_view(y, x, m):
    one, other = y.flatten(1), y.reshape(1, 4, 35)
    one.mul_(2)
    return other


def _write_state(y, x, m):
    m.state.add_(1)
    return y * m.state


def _write_part_of_state(y, x, m):
    m.state[:2] = 3
    return y * m.state


def _write_through_strides(y, x, m):
    torch.as_strided(y, (1, 4, 5, 7), (140, 35, 7, 1)).mul_(2)
    return y


def _write_diagonal(y, x, m):
    y.diagonal(0, 2, 3).mul_(2)
    return y


def _change_shape(y, x, m):
    y.mul_(2)
    return y.unsqueeze_(1)


def _overlap(writer, source):
    return writer, f"it reads {source}, which overlaps what it writes: the result is undefined"


def _write_overlapping(y, x, m):
    y[:, 1:3] = y[:, :2]
    return y


def _add_broadcast_overlap(y, x, m):
    y += y[:, 1:2]
    return y


def _write_turned(y, x, m):
    y[..., :5].copy_(y[..., :5].transpose(2, 3))
    return y


def _write_possibly_overlapping(y, x, m):
    y[:, 1:3] = y[:, :2].reshape(1, 2, 5, 7)
    return y


REFUSED = {
    "possible view": (
        _write_through_possible_view,
        ("relu_", "it may or may not write to the memory that output reads later"),
    ),
    "old possible view": (
        _write_after_possible_view,
        ("mul_", "it may or may not write to the memory that output reads later"),
    ),
    "two possible views": (
        _write_beside_possible_view,
        ("mul_", "it may or may not write to the memory that output reads later"),
    ),
    "state": (_write_state, ("add_", "it changes the stored tensor state")),
    "part of state": (_write_part_of_state, ("fill_", "it changes the stored tensor state")),
    "strides": (_write_through_strides, ("mul_", "as_strided depends on memory strides")),
    "diagonal": (
        _write_diagonal,
        ("mul_", "diagonal (node diagonal) is no view that can be written"),
    ),
    "overlap": (_write_overlapping, _overlap("copy_", "slice_1")),
    "broadcast overlap": (_add_broadcast_overlap, _overlap("add_", "slice_1")),
    "overlap turned": (_write_turned, _overlap("copy_", "transpose")),
    "possible overlap": (_write_possibly_overlapping, _overlap("copy_", "reshape")),
    "shape": (
        _change_shape,
        ("unsqueeze_", "unsqueeze_ has no functional form that keeps shape and dtype"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    function, expected = REFUSED[case]
    module = _Function(function).double()
    image = torch.randn(1, 4, 5, 7, dtype=torch.float64)
    graph_module = graph_as_traced(module, image)
    before = operators(graph_module)
    result = FunctionalizeInplace()(graph_module)
    assert not result.modified
    assert operators(graph_module) == before
    assert [(each.node, each.reason) for each in result.refusals] == [expected]


@pytest.mark.parametrize("dynamic", [False, True])
def test_parts_of_one_memory_that_do_not_overlap_are_written(dynamic):
    def function(y, x, m):
        y[:, 2:] += y[:, :2]
        y[:, 1::2] = y[:, ::2].contiguous()
        y[..., 3:] *= y[..., 3:]
        y[:, 4:] -= y[:, 2:3]
        y.view(y.shape[0], 2, 2, 5, 7)[:, 0] += y[:, 2:].view_as(y[:, :2])
        return y

    checked = _run(function, dynamic)
    assert checked.result.refusals == ()
    assert written_nodes(checked.graph_module.graph) == set()


def test_refusal_holds_for_its_own_memory_only():
    def function(y, x, m):
        z = y + 1
        m.state.add_(1)
        return z.mul_(2) * m.state

    checked = _run_without_truth(function)
    assert checked.rewrites == ("mul_",)
    assert [each.node for each in checked.refusals] == ["add_"]


def _run_without_truth(function):
    """Writing to state cannot be compared: the module changes with each run."""
    return FunctionalizeInplace()(graph_of(_Function(function), torch.randn(1, 4, 5, 7)))


def test_lists_of_tensors_written_to_are_seen():
    def function(y, x, m):
        other = y + 1
        torch._foreach_mul_([y, other], 2.0)
        return y + other

    result = _run_without_truth(function)
    assert not result.modified
    assert result.refusals[0].reason == "it writes to 2 tensors"


def test_converts_to_the_dtype_written_to():
    """The copy goes into integers, which truncates; so does its functional form."""
    checked = _run(lambda y, x, m: (y * 9).argmax(1).copy_(x[:, 0] * 9).double())
    assert checked.result.rewrites == ("copy_",)


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
