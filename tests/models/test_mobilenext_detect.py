"""Width, classes and input channels of a MobileNeXt are read off names and shapes alone."""

from __future__ import annotations

import pytest
import torch
from torchvision import models

from cnn_export.models.families.mobilenext import mobilenext
from cnn_export.models.families.mobilenext_table import detect
from cnn_export.models.registry import architectures
from cnn_export.source.networks.detect import matches


def shapes_of(**arguments: object) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        state = mobilenext(**arguments).state_dict()  # pyright: ignore[reportArgumentType]
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


@pytest.mark.parametrize("width", [0.1, 0.35, 0.5, 0.75, 1.0, 1.4, 2.0])
def test_arguments_are_read_off_the_shapes(width):
    said = {"width": width, "classes": 12, "in_channels": 1}
    assert detect(shapes_of(**said)) == said


@pytest.mark.parametrize("width", [0.613, 1.1234])
def test_an_odd_width_gives_an_equal_network(width):
    found = detect(shapes_of(width=width))
    assert found is not None
    assert shapes_of(**found) == shapes_of(width=width)


def test_the_multiplier_is_not_guessed():
    found = detect(shapes_of(identity_tensor_multiplier="1/2"))
    assert found is not None
    assert "identity_tensor_multiplier" not in found
    assert architectures()["mobilenext"].unrecorded == ("identity_tensor_multiplier",)


def test_it_is_the_only_match():
    found = matches(shapes_of(width=0.5, classes=3))
    assert [match.label for match in found] == ["mobilenext"]


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1", "efficientnet_b0"])
def test_other_networks_are_not_taken_for_it(name):
    with torch.device("meta"):
        state = models.get_model(name).state_dict()
    assert detect({key: tuple(tensor.shape) for key, tensor in state.items()}) is None


def test_a_changed_block_is_no_match():
    shapes = shapes_of(width=0.5)
    shapes["features.7.conv.3.weight"] = (31, *shapes["features.7.conv.3.weight"][1:])
    assert detect(shapes) is None
