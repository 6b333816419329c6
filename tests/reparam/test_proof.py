"""The measure behind the proof."""

import math

import pytest
import torch
from networks import randomize_batch_norm
from pass_checks import graph_of
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam import ReparameterizationError, reparameterize_graph
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass
from cnn_export.reparam.proof.comparison import relative_error
from cnn_export.reparam.proof.probe import make_probes
from cnn_export.reparam.proof.proof import CAP, TOLERANCE
from cnn_export.reparam.report import Proof


def test_is_the_largest_difference_over_the_root_mean_square():
    expected = torch.tensor([3.0, 4.0])
    actual = torch.tensor([3.0, 4.1], dtype=torch.float32)
    assert relative_error([expected], [actual]) == pytest.approx(0.1 / math.sqrt(12.5), rel=1e-5)


def test_is_the_worst_output():
    one = torch.ones(2)
    assert relative_error([one, one], [one, one * 1.5]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([torch.ones(2)], [torch.ones(2), torch.ones(2)]),
        ([torch.ones(2)], [torch.ones(1, 2)]),
        ([torch.ones(2)], [torch.ones(2).double()]),
        ([torch.ones(2)], [torch.tensor([1.0, math.nan])]),
        ([torch.tensor([1.0, math.inf])], [torch.tensor([1.0, -math.inf])]),
        ([torch.tensor([1.0, math.inf])], [torch.tensor([1.0, math.nan])]),
        ([torch.zeros(2)], [torch.tensor([0.0, 1e-30])]),
    ],
)
def test_is_infinite_for_what_cannot_be_compared(expected, actual):
    expected = [each.double() if each.dtype == actual[0].dtype else each for each in expected]
    if len(actual) == 1 and actual[0].dtype == torch.float32:
        actual = [actual[0].double()]
    assert relative_error(expected, actual) == math.inf


def test_values_that_are_not_finite_may_agree():
    values = torch.tensor([1.0, math.nan, math.inf, -math.inf])
    assert relative_error([values], [values.clone()]) == 0.0
    assert relative_error([torch.zeros(3)], [torch.zeros(3)]) == 0.0
    assert relative_error([torch.ones(0)], [torch.ones(0)]) == 0.0


class _Chaotic(nn.Module):
    """Logistic maps at their chaotic parameter double a difference per step."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.Conv2d(2, 2, 3, bias=False), nn.BatchNorm2d(2))
        self.steps = steps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.sigmoid(self.front(x))
        for _ in range(self.steps):
            y = 4 * y * (1 - y)
        return y


def _chaotic(steps: int):
    torch.manual_seed(0)
    module = _Chaotic(steps).eval()
    randomize_batch_norm(module)
    return graph_of(module, torch.randn(1, 2, 6, 9))


def test_a_network_that_amplifies_rounding_gets_a_limit_of_its_own():
    proof = reparameterize_graph(_chaotic(26)).proof
    assert TOLERANCE < proof.relative_error <= proof.tolerance <= CAP


def test_nothing_is_accepted_where_nothing_can_be_proven():
    graph_module = _chaotic(60)
    before = len(graph_module.graph.nodes)
    with pytest.raises(ReparameterizationError, match="amplifies float64 rounding"):
        reparameterize_graph(graph_module)
    assert len(graph_module.graph.nodes) == before


def test_a_wrong_pass_is_not_excused_by_rounding():
    class Wrong(ProgramPass):
        """Shift a weight by a millionth, once."""

        def rewrite(self, graph_module):
            name = "shifted"
            if hasattr(graph_module, name):
                return PassResult(self.name)
            weights = graph_module.graph.find_nodes(op="get_attr")
            weight = next(node for node in weights if "front.0" in node.target)
            value = constant(graph_module, weight) * (1 + 1e-6)
            graph_module.register_parameter(name, nn.Parameter(value))
            weight.target = name
            return PassResult(self.name, (weight.name,))

    with pytest.raises(ReparameterizationError, match="Wrong changed what") as caught:
        reparameterize_graph(_chaotic(4), (Wrong(),))
    assert caught.value.pass_name == Wrong.__name__


class _Returning(nn.Module):
    """A normalized convolution of one channel, and a function of it."""

    def __init__(self, function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.front = nn.Sequential(nn.Conv2d(2, 1, 3, bias=False), nn.BatchNorm2d(1))
        self.function = function
        randomize_batch_norm(self)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.front(x)
        return y, self.function(y)


def _centred(y):
    return (y - y.mean((2, 3), keepdim=True)).mean((2, 3))


def _plus_zero(y):
    """Zero where the sum of squares rounds the same way, else rounding."""
    return (y + 1).square() - y.square() - 2 * y - 1


@pytest.mark.parametrize("function", [_centred, _plus_zero])
def test_an_output_that_is_zero_up_to_rounding_is_named(function):
    graph_module = graph_of(_Returning(function), torch.randn(1, 2, 6, 9))
    with pytest.raises(ReparameterizationError, match="output 1 is zero up to rounding on the pro"):
        reparameterize_graph(graph_module)


def test_an_output_that_is_never_finite_proves_nothing():
    graph_module = graph_of(_Returning(lambda y: y * math.inf * 0), torch.randn(1, 2, 6, 9))
    with pytest.raises(ReparameterizationError, match="output 1 is not finite on the probe"):
        reparameterize_graph(graph_module)


def test_some_infinities_are_compared():
    function = _Returning(lambda y: y.where(y > 0, -math.inf))
    proof = reparameterize_graph(graph_of(function, torch.randn(1, 2, 6, 9))).proof
    assert 0 < proof.relative_error <= TOLERANCE


def test_a_wrong_pass_is_named_although_the_output_was_zero():
    class Wrong(ProgramPass):
        """Average along another dimension, once."""

        def rewrite(self, graph_module):
            node = next(iter(reversed(graph_module.graph.find_nodes(**_MEAN))))
            if node.args[1] == [3]:
                return PassResult(self.name)
            node.args = (node.args[0], [3], True)
            return PassResult(self.name, (node.name,))

    function = _Returning(lambda y: y - y.mean(1, keepdim=True))
    graph_module = graph_of(function, torch.randn(1, 2, 6, 9))
    with pytest.raises(ReparameterizationError, match="Wrong changed what"):
        reparameterize_graph(graph_module, (Wrong(),))


_MEAN = {"op": "call_function", "target": torch.ops.aten.mean.dim}


class _LowRange(nn.Module):
    """Clips at six, which a normal input does not reach."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(x, -6.0, 6.0)


class _Unclipped(ProgramPass):
    """Drop a clamp, once: right between its bounds."""

    def rewrite(self, graph_module):
        nodes = graph_module.graph.find_nodes(
            op="call_function", target=torch.ops.aten.clamp.default
        )
        for node in nodes:
            replace(node, node.args[0])
        return PassResult(self.name, tuple(node.name for node in nodes))


def test_what_only_shows_on_large_inputs_is_found():
    graph_module = graph_of(_LowRange(), torch.randn(1, 2, 6, 9))
    (normal, large, constant) = make_probes(graph_module)
    passes = (_Unclipped(),)
    with pytest.raises(ReparameterizationError, match="_Unclipped changed what"):
        reparameterize_graph(graph_module, passes, probes=lambda: [normal, constant, large])
    proof = reparameterize_graph(graph_module, passes, probes=lambda: [normal, constant]).proof
    assert proof == Proof(0.0, TOLERANCE, 2)


def test_what_only_shows_on_flat_maps_is_found():
    class Contrast(nn.Module):
        def forward(self, x):
            return x + F.relu(1 - x.amax((2, 3), keepdim=True) + x.amin((2, 3), keepdim=True))

    class Wrong(ProgramPass):
        """Drop the comparison, once."""

        def rewrite(self, graph_module):
            nodes = graph_module.graph.find_nodes(
                op="call_function", target=torch.ops.aten.add.Tensor
            )
            for node in nodes:
                replace(node, node.args[0])
            return PassResult(self.name, tuple(node.name for node in nodes))

    with pytest.raises(ReparameterizationError, match="Wrong changed what"):
        reparameterize_graph(graph_of(Contrast(), torch.randn(1, 2, 6, 9)), (Wrong(),))


class _Drop(ProgramPass):
    """Let the network return its input, once."""

    def rewrite(self, graph_module):
        output = graph_module.graph.output_node()
        inputs = graph_module.graph.find_nodes(op="placeholder")
        if output.args[0][0] is inputs[0]:
            return PassResult(self.name)
        output.args = ((inputs[0],),)
        return PassResult(self.name, ("output",))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.int8])
def test_whole_numbers_are_more_than_zero_and_one(dtype):
    class Squares(nn.Module):
        """The identity on 0 and 1."""

        def forward(self, x):
            return x * x

    graph_module = graph_of(Squares(), torch.ones(2, 9, dtype=dtype))
    with pytest.raises(ReparameterizationError, match="_Drop changed what"):
        reparameterize_graph(graph_module, (_Drop(),))


def test_indices_stay_in_range():
    class Lookup(nn.Module):
        """A table of two rows cannot be asked for others."""

        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(2, 3)
            self.front = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))

        def forward(self, x):
            return self.front(self.table(x))

    report = reparameterize_graph(graph_of(Lookup(), torch.ones(4, dtype=torch.int64)))
    assert report.modified
    assert report.proof.probes == 2


def test_a_later_probe_that_shows_nothing_is_left_out():
    class Contrast(nn.Module):
        """Zero up to rounding on a constant map, nothing finite on a large one."""

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.front = nn.Sequential(nn.Conv2d(2, 9, 3, bias=False), nn.BatchNorm2d(9))
            randomize_batch_norm(self)

        def forward(self, x):
            y = self.front(x)
            means = [(y * part).mean((2, 3), keepdim=True) for part in (0.1, 0.9)]
            centred = y - means[0] - means[1]
            return centred.where(x.abs().amax() < 20, math.inf)

    proof = reparameterize_graph(graph_of(Contrast(), torch.randn(1, 2, 6, 9))).proof
    assert proof.relative_error <= TOLERANCE
    assert proof.probes == 1


def test_a_graph_that_does_not_run_is_refused():
    class Broken(ProgramPass):
        """Reshape to a size that the elements do not fill, once."""

        def rewrite(self, graph_module):
            (node,) = graph_module.graph.find_nodes(
                op="call_function", target=torch.ops.aten.reshape.default
            )
            if node.args[1] == [5]:
                return PassResult(self.name)
            node.args = (node.args[0], [5])
            return PassResult(self.name, (node.name,))

    class Flat(nn.Module):
        def forward(self, x):
            return x.reshape(6)

    with pytest.raises(
        ReparameterizationError, match=r"Broken broke the network: it fails: RuntimeError: shape"
    ):
        reparameterize_graph(graph_of(Flat(), torch.randn(2, 3)), (Broken(),))
