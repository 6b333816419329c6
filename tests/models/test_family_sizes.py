"""Sizes, shares and images that no published variant has, and what no family takes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.shufflenetv2 import channel_shuffle as torchvision_shuffle

from cnn_export.models.listing.figures import figures
from cnn_export.models.parts.channel_shuffle import channel_shuffle
from cnn_export.models.registry import architectures


def network(family: str, **arguments: object) -> nn.Module:
    torch.manual_seed(5)
    return architectures()[family].build(**arguments).eval()


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_a_shuffle_is_the_inverse_of_torchvisions(groups: int) -> None:
    maps = torch.randn(2, 30, 3, 5)
    assert torch.equal(torchvision_shuffle(channel_shuffle(maps, groups), groups), maps)


@pytest.mark.parametrize("alpha", [0.125, 0.25, 0.75])
def test_the_share_of_low_maps_is_read_off_the_tensors(alpha: float) -> None:
    for family, arguments in (("oct_mobilenet", {}), ("oct_resnet", {"depth": 26})):
        with torch.device("meta"):
            shapes = shapes_of(network(family, alpha=alpha, classes=7, **arguments))
        found = architectures()[family].detect(shapes)
        assert found is not None
        assert found["alpha"] == alpha


def test_octaves_of_images_that_do_not_halve() -> None:
    logits = network("oct_mobilenet", classes=3)(torch.randn(1, 3, 65, 97))
    assert logits.shape == (1, 3)


@pytest.mark.parametrize(
    ("family", "arguments", "message"),
    [
        ("shufflenet_v1", {"groups": 5}, "has 1, 2, 3, 4, 8 groups"),
        ("shufflenet_v2", {"width": 0.75}, "has widths 0.5, 1.0, 1.5, 2.0, got 0.75"),
        ("shufflenet_v2_plus", {"size": "tiny"}, "has sizes small, medium, large"),
        ("mobilenetv3_small", {"width": 0}, "must be positive, got 0"),
        ("oct_mobilenet", {"alpha": 1}, "share of maps at half resolution, 0 to 1, got 1"),
        ("oct_resnet", {"depth": 34}, "has depths 26, 50, 101, 152, 200, got 34"),
        ("squeezenext", {"version": "23v2"}, "has versions 23, 23v5"),
        ("mobile_former", {"size": 96}, "has sizes 151, 294, 508"),
        ("squeezenext", {"classes": 0}, "needs classes and in_channels, got 0 and 3"),
    ],
)
def test_what_no_family_has_is_refused(
    family: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        network(family, **arguments)


def test_mobile_former_needs_room_for_its_tokens() -> None:
    with torch.device("meta"):
        small = network("mobile_former", size=151)
        with pytest.raises(ValueError, match="at least 208x208, got 207x224"):
            small(torch.zeros(1, 3, 207, 224))


class _Unprojected(nn.Module):
    """What the heads read, cut to the map's channels: no multiplication."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, read: torch.Tensor) -> torch.Tensor:
        return read[..., : self.channels]


def _without_the_matrix(size: int) -> nn.Module:
    built = architectures()["mobile_former"].build(size=size)
    for block in built.block:
        block.former2mobile.to_out = _Unprojected(block.former2mobile.channels)
    return built


@pytest.mark.parametrize("row", architectures()["mobile_former"].published, ids=lambda r: r.name)
def test_mobile_former_s_matrix_is_why_it_multiplies_more_than_the_paper_s(row) -> None:
    less = figures(_without_the_matrix, row.arguments, row.input_size).macs / 1e6
    assert f"without it {less:.1f} M" in row.note
    assert 0.97 * row.macs_m < less < row.macs_m
