"""The cost model against torch's flop counter and published counts."""

import pytest
import torch
import torchvision
from pass_checks import graph_of
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnn_export.program.program import capture
from cnn_export.reparam.cost import measure

LAYERS = {
    "conv": (nn.Conv2d(6, 9, (3, 2), stride=2, groups=3), (1, 6, 9, 7)),
    "dilated": (nn.Conv2d(3, 5, 3, dilation=2, padding="same"), (1, 3, 9, 7)),
    "conv 1d": (nn.Conv1d(4, 6, 3, padding=1), (1, 4, 9)),
    "conv 3d": (nn.Conv3d(2, 4, 2), (1, 2, 3, 5, 4)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2), (1, 4, 5, 7)),
    "linear": (nn.Linear(5, 4), (1, 3, 5)),
}


@pytest.mark.parametrize("case", LAYERS)
def test_macs_equal_half_of_torch_flops(case):
    layer, shape = LAYERS[case]
    image = torch.randn(shape)
    with FlopCounterMode(display=False) as counter:
        layer(image)
    macs = measure(graph_of(layer, image)).macs
    assert macs > 0
    assert 2 * macs == counter.get_total_flops()


class _Products(nn.Module):
    def forward(self, a, b):
        return torch.bmm(a, b) + torch.matmul(a, b)


def test_macs_of_matrix_products():
    graph_module = graph_of(_Products(), torch.randn(1, 3, 5), torch.randn(1, 5, 7))
    assert measure(graph_module).macs == 2 * (3 * 5 * 7)


@pytest.mark.parametrize("name", ["conv", "linear"])
def test_macs_are_those_of_one_image(name):
    layer, shape = LAYERS[name]
    one = measure(graph_of(layer, torch.randn(shape))).macs
    assert measure(graph_of(layer, torch.randn(4, *shape[1:]))).macs == one
    assert measure(graph_of(layer, torch.randn(shape), dynamic=True)).macs == one


def test_mobilenet_v2_has_its_published_size():
    """Torchvision's table: 3,504,872 parameters, 0.30 G multiply-adds."""
    module = torchvision.models.mobilenet_v2().eval()
    image = torch.randn(1, 3, 224, 224)
    cost = measure(capture(module, (image,)).graph_module)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(image)
    assert cost.parameters == 3_504_872
    assert cost.parameter_bytes == 4 * 3_504_872
    assert 2 * cost.macs == counter.get_total_flops()
    assert round(cost.macs / 1e6, 1) == 300.8


class _Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4, bias=False)
        self.second = nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("offset", torch.ones(4, dtype=torch.float64))
        self.unread = nn.Parameter(torch.ones(100))

    def forward(self, x):
        return self.second(self.first(x)) + self.offset


def test_counts_tied_tensors_once_and_unread_ones_not_at_all():
    cost = measure(graph_of(_Tied(), torch.randn(2, 4)))
    assert (cost.ops, cost.parameters, cost.parameter_bytes) == (3, 16, 64)
    assert cost.buffer_bytes == 32
