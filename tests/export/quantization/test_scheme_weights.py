"""Weights alone in int8: a decision without data, near float."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnn_export.errors import UsageError
from cnn_export.program.program import capture
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.scheme.decide_weights import decide_weights
from cnn_export.quantization.scheme.options import SchemeOptions
from cnn_export.quantization.spelling import Spelling


class Net(nn.Module):
    """A dead channel, a transposed convolution, a linear layer, a sum."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(6)
        self.conv, self.up = nn.Conv2d(3, 6, 3), nn.ConvTranspose2d(6, 6, 2)
        self.head = nn.Linear(6, 4)
        self.conv.weight.data[2] = 0

    def forward(self, x):
        y = F.relu(self.conv(x))
        return self.head(self.up(y).mean((2, 3)) + y.mean((2, 3)))


@pytest.fixture(scope="module")
def graph_module():
    return capture(Net().eval(), (torch.randn(1, 3, 9, 7),)).graph_module


def test_every_channel_uses_all_its_steps(graph_module):
    decision = decide_weights(graph_module)
    assert not decision.tensors
    assert set(decision.weights) == {"conv2d", "linear"}
    (reason,) = decision.kept_float.values()
    assert reason == "weights of transposed convolutions are not stored in int8 here"
    scales = torch.tensor(decision.weights["conv2d"].scales)
    largest = graph_module.conv.weight.detach().flatten(1).abs().amax(1)
    alive = largest > 0
    torch.testing.assert_close(scales[alive] * 127, largest[alive], rtol=1e-6, atol=0)
    assert scales[~alive].tolist() == [2**-30]
    image = torch.randn(1, 3, 9, 7)
    with torch.no_grad():
        (expected,) = graph_module(image)
        (got,) = quantized_graph(graph_module, decision, Spelling())(image)
    assert 0 < (got - expected).abs().max() < 0.01 * expected.abs().max()


def test_layers_are_kept_float_by_name(graph_module):
    kept = decide_weights(graph_module, SchemeOptions(keep_float=frozenset({"head"})))
    assert set(kept.weights) == {"conv2d"}
    assert kept.kept_float["linear"] == "head is kept float as asked"
    with pytest.raises(UsageError, match="Did you mean 'head'"):
        decide_weights(graph_module, SchemeOptions(keep_float=frozenset({"haed"})))


def test_one_scale_for_a_layer(graph_module):
    one = decide_weights(graph_module, SchemeOptions(per_tensor_weights=True)).weights["conv2d"]
    assert set(one.scales) == {max(decide_weights(graph_module).weights["conv2d"].scales)}
