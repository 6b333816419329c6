"""The way to float64 and back, and runs that leave everything as it was."""

import torch
from pass_checks import graph_of
from torch import nn

from cnn_export.reparam.graph.precision import cast, working_dtype
from cnn_export.reparam.proof.probe import make_probe


class _Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.second(self.first(x))


def test_a_tensor_under_two_names_stays_one():
    graph_module = graph_of(_Tied(), torch.randn(2, 4))
    graph_module.second.weight = graph_module.first.weight
    given = graph_module.first.weight
    cast(graph_module, torch.float32, torch.float64)
    assert graph_module.first.weight is graph_module.second.weight
    assert graph_module.first.weight.dtype == torch.float64
    assert given.dtype == torch.float32


def test_there_and_back_is_the_same_graph():
    graph_module = graph_of(_Tied(), torch.randn(2, 4), dynamic=True)
    code, weights = graph_module.code, dict(graph_module.state_dict())
    values = [str(node.meta.get("val")) for node in graph_module.graph.nodes]
    cast(graph_module, torch.float32, torch.float64)
    assert [str(node.meta.get("val")) for node in graph_module.graph.nodes] != values
    cast(graph_module, torch.float64, torch.float32)
    assert graph_module.code == code
    shapes = [node.meta["val"].shape for node in graph_module.graph.nodes if "val" in node.meta]
    assert isinstance(shapes[-1][0], torch.SymInt)
    assert all(torch.equal(graph_module.state_dict()[name], weights[name]) for name in weights)


def test_working_dtype_is_that_of_most_weights():
    module = _Tied().half()
    module.register_buffer("extra", torch.ones(3))
    assert working_dtype(graph_of(module, torch.randn(2, 4).half())) == torch.float16


class _Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        self.calls.add_(1)
        return x * self.calls


def test_a_probe_does_not_change_the_network():
    graph_module = graph_of(_Counting(), torch.randn(1, 4, dtype=torch.float64))
    before = graph_module.calls.clone()
    first, second = make_probe(graph_module), make_probe(graph_module)
    assert torch.equal(first.outputs[0], second.outputs[0])
    assert torch.equal(graph_module.calls, before)
