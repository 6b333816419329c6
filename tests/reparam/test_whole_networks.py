"""The whole stage on random networks and on torchvision's mobile families."""

import collections

import pytest
import torch
import torchvision
from effort import examples
from hypothesis import given, settings
from networks import randomize_batch_norm
from pass_checks import operators
from random_cnn import random_cnn, random_cnns

from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.proof.comparison import relative_error

FAMILIES = (
    "mobilenet_v2",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "resnet18",
    "squeezenet1_1",
    "mnasnet0_5",
)
DYNAMIC = ("mobilenet_v3_small", "shufflenet_v2_x0_5")
CASES = [(name, False) for name in FAMILIES] + [(name, True) for name in DYNAMIC]


def _outputs(module, image):
    with torch.no_grad():
        value = module(image.clone())
    return (value,) if isinstance(value, torch.Tensor) else tuple(value)


@pytest.mark.parametrize(("name", "dynamic"), CASES)
def test_torchvision_family(name, dynamic):
    torch.manual_seed(1)
    module = getattr(torchvision.models, name)(num_classes=10)
    randomize_batch_norm(module)
    module = module.double().eval()
    image = torch.randn(1, 3, 32, 64, dtype=torch.float64)
    program = capture(module, (image,), dynamic_batch=dynamic)
    graph_module = program.graph_module
    report = reparameterize_graph(graph_module)
    remaining = collections.Counter(operators(graph_module))
    assert not remaining["batch_norm"]
    assert not [op for op in remaining if op.startswith(("adaptive", "dropout")) or op[-1] == "_"]
    assert written_nodes(graph_module.graph) == set()
    assert [each.refusals for each in report.passes if each.refusals] == []
    images = torch.cat([image, -image, image * 0.3]) if dynamic else image
    expected = _outputs(module, images)
    assert relative_error(expected, _outputs(graph_module, images)) <= 1e-12
    exported = program.with_graph(graph_module).exported
    assert relative_error(expected, _outputs(exported.module(), images)) <= 1e-12


@settings(max_examples=examples(15))
@given(random_cnns())
def test_random_networks(network):
    dynamic = network.seed % 2 == 1
    module = network.module.double()
    image = network.inputs[0].double()
    graph_module = capture(module, (image,), dynamic_batch=dynamic).graph_module
    report = reparameterize_graph(graph_module)
    images = torch.cat([image, image.flip(0) * 2, -image]) if dynamic else image
    expected = _outputs(module, images)
    assert relative_error(expected, _outputs(graph_module, images)) <= 1e-11
    assert "batch_norm" not in operators(graph_module)
    assert written_nodes(graph_module.graph) == set()
    assert report.after.ops <= report.before.ops
    assert not reparameterize_graph(graph_module, prove_equal=False).modified


def test_generator_repeats_itself_and_reaches_every_kind_of_layer():
    first, second = random_cnn(11), random_cnn(11)
    assert torch.equal(first.inputs[0], second.inputs[0])
    pairs = zip(
        first.module.state_dict().values(), second.module.state_dict().values(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)
    seen = {
        type(layer).__name__ for seed in range(60) for layer in random_cnn(seed).module.modules()
    }
    wanted = {"Conv2d", "ConvTranspose2d", "BatchNorm2d", "BatchNorm1d", "MaxPool2d", "AvgPool2d",
              "Linear", "Hardswish", "PReLU", "Identity", "_Residual", "_Concat"}  # fmt: skip
    assert wanted <= seen
