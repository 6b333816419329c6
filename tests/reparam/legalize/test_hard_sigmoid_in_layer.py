"""HardSigmoidInLayer: equal where it fires, and refused where the layer is not its own."""

import pytest
import torch
from pass_checks import check_pass, graph_of
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.passes.legalize.hard_sigmoid_in_layer import HardSigmoidInLayer


class _Gate(nn.Module):
    def __init__(self, layer, function=lambda layer, x: F.hardsigmoid(layer(x))):
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x):
        return self.function(self.layer, x * 4)


LAYERS = {
    "convolution": lambda: nn.Conv2d(6, 4, (3, 1), 2),
    "without bias": lambda: nn.Conv2d(6, 4, 1, bias=False),
    "groups": lambda: nn.Conv2d(6, 12, 3, groups=3),
    "transposed": lambda: nn.ConvTranspose2d(6, 9, 3, 2, groups=3),
    "linear": lambda: nn.Linear(7, 5),
}
STAYS = {
    "another reader": (
        lambda layer, x: F.hardsigmoid(y := layer(x)) + y,
        ["conv2d is also read: add, hardsigmoid"],
    ),
    "written in place": (
        lambda layer, x: F.hardsigmoid(layer(x)).add_(1),
        ["hardsigmoid is written to in place"],
    ),
    "computed weights": (
        lambda layer, x: F.hardsigmoid(F.conv2d(x, layer.weight * 2)),
        ["the weights of conv2d are computed in the graph"],
    ),
    "no layer": (lambda layer, x: F.hardsigmoid(F.relu(layer(x))), []),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_layer_takes_slope_and_middle(layer):
    torch.manual_seed(2)
    checked = check_pass(HardSigmoidInLayer(), _Gate(LAYERS[layer]()), torch.randn(2, 6, 9, 7))
    assert checked.result.rewrites == ("hardsigmoid",)
    assert checked.ops[-1] == "hardtanh"
    assert "hardsigmoid" not in checked.ops
    clip = next(n for n in checked.graph_module.graph.nodes if operator_name(n) == "hardtanh")
    assert clip.args[1:] == (0.0, 1.0)
    assert __file__ in clip.meta["stack_trace"]


@pytest.mark.parametrize("case", STAYS)
def test_other_hard_sigmoids_stay(case):
    function, reasons = STAYS[case]
    module = _Gate(nn.Conv2d(6, 4, 1, bias=False), function)
    checked = check_pass(HardSigmoidInLayer(), module, torch.randn(2, 6, 9, 7))
    assert not checked.result.modified
    assert checked.reasons == reasons


def test_a_layer_called_twice_keeps_one_weight():
    module = _Gate(
        nn.Conv2d(6, 4, 1), lambda layer, x: F.hardsigmoid(layer(x)) + F.hardsigmoid(layer(-x))
    )
    checked = check_pass(HardSigmoidInLayer(), module, torch.randn(2, 6, 9, 7))
    assert len(checked.result.rewrites) == 2
    assert len(list(checked.graph_module.parameters())) == 2


def test_it_stays_folded_when_the_default_passes_run_again():
    graph_module = graph_of(_Gate(nn.Conv2d(6, 4, 1)), torch.randn(1, 6, 9, 7))
    report = reparameterize_graph(graph_module, [HardSigmoidInLayer()])
    assert report.proof is not None
    reparameterize_graph(graph_module)
    names = [operator_name(n) for n in graph_module.graph.nodes if n.op == "call_function"]
    assert names[-1] == "hardtanh"
