"""SE-ResNets of every depth are recognised, and ResNets without or with other gates are not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torchvision import models

from cnn_export.models.families.se_resnet import se_resnet
from cnn_export.models.families.se_resnet_table import CIFAR_DEPTHS, DEPTHS, detect
from cnn_export.models.registry import Shapes
from cnn_export.source.networks.detect import matches

CASES: dict[str, dict[str, Any]] = {
    **{name: {"blocks": b, "bottleneck": narrow} for name, (b, narrow) in DEPTHS.items()},
    **{
        name: {"blocks": (b, b, b), "bottleneck": False, "small_images": True}
        for name, b in CIFAR_DEPTHS.items()
    },
}


def _shapes(**arguments: Any) -> Shapes:
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in se_resnet(**arguments).state_dict().items()}


@pytest.mark.parametrize("name", CASES)
def test_published_depths_are_told_apart(name: str) -> None:
    asked = {"small_images": False, "reduction": 16, "classes": 7, "in_channels": 1} | CASES[name]
    (found,) = matches(_shapes(**asked))
    assert found.label == "se_resnet"
    assert found.arguments == asked
    assert found.input_size == ((3, 32, 32) if asked["small_images"] else (3, 224, 224))


def test_another_reduction_is_read_off() -> None:
    found = detect(_shapes(reduction=8))
    assert found is not None
    assert found["reduction"] == 8


def test_networks_without_these_gates_are_none() -> None:
    with torch.device("meta"):
        plain = models.resnet50().state_dict()
    assert detect({name: tuple(tensor.shape) for name, tensor in plain.items()}) is None
    with_bias = _shapes() | {"layer1.0.se.fc.0.bias": (16,)}
    assert matches(with_bias) == ()


def test_odd_sizes() -> None:
    network = se_resnet((1, 1, 1, 1), bottleneck=False, classes=5).eval()
    with torch.inference_mode():
        assert network.forward_features(torch.zeros(2, 3, 33, 65)).shape == (2, 512, 2, 3)
        assert network(torch.zeros(2, 3, 33, 65)).shape == (2, 5)


@pytest.mark.parametrize("wrong", [{"blocks": (3, 4, 6)}, {"classes": 0}, {"reduction": 0}])
def test_arguments_that_make_no_network(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="4 stages and positive numbers"):
        se_resnet(**wrong)
