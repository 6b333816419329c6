"""Random stacks of maps per channel between everything that may or may not pass them."""

import random

import pytest
import torch
from networks import randomize_batch_norm
from pass_checks import operators
from torch import nn

from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.proof.comparison import relative_error

CHANNELS = 4


def _layers(choose: random.Random) -> list[nn.Module]:
    groups = choose.choice([1, 2, CHANNELS])
    padding, mode = choose.choice([(0, "zeros"), (1, "zeros"), ("valid", "zeros"), (1, "reflect")])
    conv = nn.Conv2d(
        CHANNELS,
        CHANNELS,
        choose.choice([1, 2, (3, 1)]),
        choose.choice([1, 1, 2]),
        padding,
        groups=groups,
        bias=choose.random() < 0.5,
        padding_mode=mode,
    )
    return [
        nn.BatchNorm2d(CHANNELS, affine=choose.random() < 0.8),
        nn.BatchNorm2d(CHANNELS, eps=1e-3),
        choose.choice([nn.ReLU(), nn.LeakyReLU(0.2), nn.ReLU6(), nn.Tanh()]),
        choose.choice([nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(3, 2, 0, True)]),
        choose.choice([nn.ZeroPad2d((1, 0, 2, 0)), nn.CircularPad2d(1), nn.ConstantPad2d(1, 0.7)]),
        nn.ConvTranspose2d(CHANNELS, CHANNELS, choose.choice([2, 3]), 2, 1, groups=2),
        nn.Upsample(scale_factor=2, mode=choose.choice(["nearest", "bilinear"])),
        conv,
        conv,
    ]


def _network(seed: int) -> tuple[nn.Module, torch.Tensor]:
    choose = random.Random(seed)  # noqa: S311 - reproducible, not secret
    torch.manual_seed(seed)
    body = [choose.choice(_layers(choose)) for _ in range(choose.randint(3, 7))]
    head = [nn.BatchNorm2d(CHANNELS), nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten()]
    module = nn.Sequential(*body, *head, nn.Linear(2 * CHANNELS, 3), nn.BatchNorm1d(3))
    randomize_batch_norm(module)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.affine and choose.random() < 0.3:
            layer.weight.data[0] *= -1
    return module.double().eval(), torch.randn(1, CHANNELS, 17, 22).double()


@pytest.mark.parametrize("seed", range(24))
def test_the_stage_leaves_no_normalization_and_changes_nothing(seed):
    module, image = _network(seed)
    dynamic = seed % 2 == 1
    graph_module = capture(module, (image,), dynamic_batch=dynamic).graph_module
    reparameterize_graph(graph_module)
    images = torch.cat([image, -image, image.flip(2) * 2]) if dynamic else image
    with torch.no_grad():
        assert relative_error((module(images),), graph_module(images)) <= 1e-12
    assert "batch_norm" not in operators(graph_module)
    assert not reparameterize_graph(graph_module, prove_equal=False).modified
