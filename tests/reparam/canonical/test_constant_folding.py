"""FoldConstants: constant subgraphs of bounded size."""

import torch
from pass_checks import check_pass, graph_as_traced, graph_of, operators
from torch import nn

from cnn_export.reparam.passes.canonical.constant_folding import FoldConstants


class _Module(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.scale = nn.Parameter(torch.rand(4, 1, 1, 1) + 0.5)
        self.register_buffer("counter", torch.zeros(3, 1, 1))

    def forward(self, x):
        return self.function(self, x)


def _standardized(m, x):
    weight = (m.weight - m.weight.mean((1, 2, 3), keepdim=True)) * m.scale
    return nn.functional.conv2d(x, weight, padding=1)


IMAGE = torch.randn(1, 3, 5, 7)


def test_folds_computed_weights():
    checked = check_pass(FoldConstants(), _Module(_standardized), IMAGE)
    assert checked.ops == ["conv2d"]
    assert len(checked.result.rewrites) == 1
    assert len(checked.graph_module.state_dict()) == 1


def test_folds_with_a_dynamic_batch():
    checked = check_pass(FoldConstants(), _Module(_standardized), IMAGE, dynamic=True)
    assert checked.ops == ["conv2d"]


def test_folds_values_made_from_numbers():
    def function(m, x):
        return x + torch.arange(7, dtype=x.dtype) * 0.5

    assert check_pass(FoldConstants(), _Module(function), IMAGE).ops == ["add"]


def test_folds_only_up_to_values_that_depend_on_inputs():
    def function(m, x):
        half = m.scale.flatten() * 0.5
        return x.mean() * half, x.mean() + half.exp()

    checked = check_pass(FoldConstants(), _Module(function), IMAGE)
    assert checked.ops == ["mean", "mul", "mean", "add"]
    assert len(checked.result.rewrites) == 2


def test_refuses_to_store_a_large_grid():
    def function(m, x):
        return x.sum() + torch.zeros(200, 200, dtype=x.dtype)

    checked = check_pass(FoldConstants(), _Module(function), IMAGE)
    assert not checked.result.modified
    assert checked.reasons == ["its 320000 bytes come from only 0 stored bytes"]
    assert check_pass(FoldConstants(320_000), _Module(function), IMAGE).result.modified


def test_stores_what_a_large_value_is_made_of():
    def function(m, x):
        border = (m.scale * 0.5 + 1).expand(4, 3, 50, 70)
        return x.sum() + border, x.sum() * border.flip(0)

    checked = check_pass(FoldConstants(), _Module(function), IMAGE)
    assert checked.ops == ["expand", "sum", "add", "sum", "flip", "mul"]
    assert len(checked.result.rewrites) == 1
    assert set(checked.reasons) == {"its 336000 bytes come from only 32 stored bytes"}


def test_leaves_random_values():
    graph_module = graph_as_traced(_Module(lambda m, x: x + torch.rand(7)), IMAGE)
    assert not FoldConstants()(graph_module).modified
    assert "rand" in operators(graph_module)


def test_leaves_state_that_the_graph_changes():
    def function(m, x):
        before = m.counter * 2
        m.counter.add_(1)
        return x + before + m.counter

    graph_module = graph_of(_Module(function), IMAGE)
    assert not FoldConstants()(graph_module).modified
    assert "add_" in operators(graph_module)
