"""Every RepVGG variant is recognised, trained and deployed, and nothing else is."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from cnn_export.models.families.repvgg import RepVGG, repvgg
from cnn_export.models.families.repvgg_table import VARIANTS, detect


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("deploy", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_told_apart(variant: str, deploy: bool) -> None:
    asked: dict[str, Any] = {"classes": 7, "in_channels": 1, "deploy": deploy}
    with torch.device("meta"):
        network = repvgg(variant, **asked)
    assert detect(_shapes(network)) == {"variant": variant, **asked}


@pytest.mark.parametrize(
    "change",
    [{"depths": (2, 4, 13, 1)}, {"widths": (48, 96, 200, 1280)}, {"squeeze": True}, {"groups": 2}],
)
def test_what_is_no_published_variant(change: dict[str, Any]) -> None:
    with torch.device("meta"):
        network = RepVGG(dataclasses.replace(VARIANTS["A0"], **change), 10, 3, deploy=False)
    assert detect(_shapes(network)) is None


@pytest.mark.parametrize("deploy", [False, True])
def test_odd_sizes(deploy: bool) -> None:
    network = repvgg("A0", classes=5, deploy=deploy).eval()
    with torch.inference_mode():
        assert network.forward_features(torch.zeros(2, 3, 33, 65)).shape == (2, 1280, 2, 3)
        assert network(torch.zeros(2, 3, 33, 65)).shape == (2, 5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"variant": "A9"}, "no variant 'A9'; it has A0"), ({"classes": 0}, "needs classes")],
)
def test_arguments_that_make_no_network(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        repvgg(**arguments)
