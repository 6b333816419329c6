"""Recognising SkipNet checkpoints by tensor names and shapes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models as torchvision_models

from cnn_export.models.families.skipnet import skipnet
from cnn_export.models.families.skipnet_table import detect
from cnn_export.models.registry import architectures, register_model


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def meta_shapes(build, **arguments) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return shapes_of(build(**arguments))


@pytest.mark.parametrize("classes", [1, 10, 1000])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_full_network_is_recognised(classes, in_channels):
    arguments = {"width": 1.0, "classes": classes, "in_channels": in_channels}
    assert detect(meta_shapes(skipnet, **arguments)) == arguments


def test_detected_arguments_rebuild_every_width():
    for percent in range(10, 201, 5):
        shapes = meta_shapes(skipnet, width=percent / 100, classes=7)
        found = detect(shapes)
        assert found is not None, percent
        assert meta_shapes(skipnet, **found) == shapes, percent


@pytest.mark.parametrize("width", [0.125, 1 / 3, 0.375, 0.97, 1.125, 1.37])
def test_detected_arguments_rebuild_uneven_widths(width):
    shapes = meta_shapes(skipnet, width=width, classes=7)
    found = detect(shapes)
    assert found is not None
    assert meta_shapes(skipnet, **found) == shapes


@pytest.mark.parametrize(
    "build",
    [
        torchvision_models.mobilenet_v2,
        torchvision_models.mobilenet_v3_large,
        torchvision_models.resnet18,
        torchvision_models.shufflenet_v2_x0_5,
    ],
)
def test_other_networks_are_not_recognised(build):
    assert detect(meta_shapes(build)) is None


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("blocks.2.1.conv.3.weight", (672, 1, 5, 5)),
        ("blocks.0.2.conv.6.fc.0.weight", (32, 72)),
        ("skip2.core_block.6.weight", (88, 40, 1, 1)),
        ("first_layer.0.weight", (16,)),
        ("classifier.3.weight", (1000, 1024)),
    ],
)
def test_one_altered_shape_is_not_recognised(name, shape):
    shapes = meta_shapes(skipnet)
    assert detect(shapes | {name: shape}) is None
    del shapes[name]
    assert detect(shapes) is None


def test_nothing_is_not_recognised():
    assert detect({}) is None


def test_registry_lists_skipnet_with_its_source():
    entry = architectures()["skipnet"]
    assert entry.source == "arXiv 2107.11170"
    assert entry.input_size == (3, 224, 224)
    assert entry.detect(meta_shapes(entry.build, width=0.5)) is not None


def test_a_taken_name_is_refused():
    architectures()
    with pytest.raises(ValueError, match="'skipnet' is already registered"):
        register_model(source="", detect=detect)(skipnet)
