"""HalfPrecision: rounds and does nothing else, which the narrowing's proof finds out."""

import pytest
import torch
from pass_checks import graph_of, operators
from torch import nn

from cnn_export.reparam import ReparameterizationError
from cnn_export.reparam.graph.copies import copied
from cnn_export.reparam.graph.operators import arguments, operator_name, value_of
from cnn_export.reparam.passes.legalize.half_precision import HalfPrecision
from cnn_export.reparam.program_pass import PassResult
from cnn_export.reparam.stage import narrow_graph


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, image, index):
        y = self.norm(self.conv(image)).clamp(0, 6).mean((2, 3))
        return self.head(y), index + 1


INPUTS = (torch.randn(2, 3, 6, 9), torch.tensor([4, 7]))


def _graph(module=None, inputs=INPUTS, *, dynamic=False):
    return graph_of(module or _Net(), *inputs, dynamic=dynamic)


@pytest.mark.parametrize("dynamic", [False, True])
def test_half_inside_and_float32_at_the_border(dynamic):
    graph_module = _graph(dynamic=dynamic)
    original = copied(graph_module)
    assert HalfPrecision()(graph_module).modified
    assert operators(graph_module).count("to") == 2
    by_name = graph_module.state_dict()
    assert {each.dtype for each in by_name.values()} == {torch.float16}
    wanted_weights = original.state_dict()
    assert all(torch.equal(each, wanted_weights[name].half()) for name, each in by_name.items())
    results, wanted = graph_module(*INPUTS), original(*INPUTS)
    assert [each.dtype for each in results] == [torch.float32, torch.int64]
    torch.testing.assert_close(results, wanted, rtol=0, atol=5e-3)
    assert not torch.equal(results[0], wanted[0])
    assert torch.equal(results[0], results[0].half().float())


def test_every_node_knows_the_dtype_it_has():
    graph_module = _graph()
    HalfPrecision()(graph_module)

    class Compare(torch.fx.Interpreter):
        def run_node(self, n):
            value = super().run_node(n)
            if isinstance(value, torch.Tensor):
                claimed = value_of(n)
                assert (value.dtype, value.shape) == (claimed.dtype, claimed.shape), n.name
            return value

    Compare(graph_module).run(*INPUTS)
    casts = [n for n in graph_module.graph.nodes if operator_name(n) == "conv2d"]
    assert all(__file__ in node.meta["stack_trace"] for node in casts)


def test_a_second_run_changes_nothing():
    graph_module = _graph()
    HalfPrecision()(graph_module)
    code, tensors = str(graph_module.graph), list(graph_module.parameters())
    assert not HalfPrecision()(graph_module).modified
    assert str(graph_module.graph) == code
    assert list(map(id, graph_module.parameters())) == list(map(id, tensors))


class _Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return self.conv(x + torch.zeros(1, dtype=torch.float32).expand(x.shape))


def test_a_graph_that_fixes_a_dtype_is_refused_at_the_operator_and_unchanged():
    graph_module = _graph(_Fixed(), INPUTS[:1])
    before = str(graph_module.graph)
    result = HalfPrecision()(graph_module)
    (refusal,) = result.refusals
    assert refusal.node == "conv2d"
    assert refusal.reason.startswith("the network cannot run in float16: ")
    assert refusal.reason.endswith("; use --precision fp32")
    assert not result.modified
    assert str(graph_module.graph) == before
    assert {each.dtype for each in graph_module.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("dynamic", [False, True])
def test_proven_is_that_only_numbers_are_rounded(dynamic):
    report = narrow_graph(_graph(dynamic=dynamic), HalfPrecision(), dtype=torch.float16)
    assert report.proof.relative_error <= 1e-12
    assert report.proof.probes == 3
    assert report.after.parameter_bytes * 2 == report.before.parameter_bytes


class _LosesAClip(HalfPrecision):
    """As HalfPrecision, with another upper bound in the clip."""

    def rewrite(self, graph_module: torch.fx.GraphModule) -> PassResult:
        result = super().rewrite(graph_module)
        for node in graph_module.graph.nodes:
            if result.modified and operator_name(node) == "clamp":
                node.args = (arguments(node)["self"], 0, 5.9)
        return result


def test_a_narrowing_that_does_more_is_found():
    with pytest.raises(ReparameterizationError, match="_LosesAClip changed what the network"):
        narrow_graph(_graph(), _LosesAClip(), dtype=torch.float16)
