"""FloatHardSigmoid: the same function of two stored numbers, which are no weights."""

import pytest
import torch
from pass_checks import check_pass, graph_of
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.cost import measure
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.passes.legalize.float_hard_sigmoid import FloatHardSigmoid

IMAGE = torch.randn(2, 3, 5, 7) * 4


class _Gates(nn.Module):
    def forward(self, x):
        return x * F.hardsigmoid(x) + F.hardsigmoid(x.mean((2, 3), keepdim=True))


@pytest.mark.parametrize("dynamic", [False, True])
def test_two_hard_sigmoids_share_two_numbers(dynamic):
    image = IMAGE[:1] if dynamic else IMAGE
    checked = check_pass(FloatHardSigmoid(), _Gates(), image, dynamic=dynamic)
    assert "hardsigmoid" not in checked.ops
    assert checked.ops.count("hardtanh") == len(checked.result.rewrites) == 2
    stored = dict(checked.graph_module.named_buffers())
    assert sorted(stored) == ["hard_sigmoid_sixth", "hard_sigmoid_three"]
    assert measure(checked.graph_module).parameters == 0


def test_new_nodes_know_the_line_they_stand_for():
    graph_module = graph_of(_Gates(), IMAGE)
    FloatHardSigmoid()(graph_module)
    clips = [n for n in graph_module.graph.nodes if operator_name(n) == "hardtanh"]
    assert all(__file__ in node.meta["stack_trace"] for node in clips)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_numbers_are_stored_in_the_dtype_of_the_map(dtype):
    graph_module = graph_of(_Gates(), IMAGE.to(dtype))
    report = reparameterize_graph(graph_module, [FloatHardSigmoid()])
    assert report.proof.relative_error < 1e-12
    assert {each.dtype for each in graph_module.state_dict().values()} == {dtype}
    assert float(graph_module.hard_sigmoid_sixth) == float(torch.tensor(1 / 6, dtype=dtype))
