"""``acb_convert``: the same function at the start, and blocks that train."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from networks import randomize_batch_norm
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torchvision import models

import cnn_export
from cnn_export.models.families.mobilenext import mobilenext
from cnn_export.models.parts.acb_convert import ACBlock, acb_convert


def trained_like(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(5)
    network = build()
    randomize_batch_norm(network)
    return network.double().eval()


def blocks(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, ACBlock)]


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def same_function(network: nn.Module, *image: int) -> nn.Module:
    """Convert, compare in float64, and return the converted network."""
    converted = acb_convert(network)
    images = torch.randn(image, dtype=torch.float64)
    with torch.no_grad():
        expected = network(images)
        error = (converted(images) - expected).abs().max() / expected.square().mean().sqrt()
    assert error <= 1e-9
    return converted


@pytest.mark.parametrize(
    ("build", "count", "folded"),
    [
        (lambda: models.resnet18(num_classes=3), 17, 17),
        (lambda: mobilenext(0.1, 3, identity_tensor_multiplier="1/2"), 34, 34),
        (lambda: models.mobilenet_v3_small(num_classes=3), 12, 12),
        (lambda: models.squeezenet1_1(num_classes=3), 9, 0),
    ],
)
def test_whole_networks(build, count, folded):
    network = trained_like(build)
    converted = same_function(network, 1, 3, 49, 64)
    assert len(blocks(converted)) == count
    assert norms(converted) == norms(network) + 3 * count - folded


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3, "padding": 1, "bias": True},
        {"kernel_size": 5, "padding": "same", "dilation": 2},
        {"kernel_size": 3, "padding": "valid", "stride": 2},
        {"kernel_size": 3, "padding": (0, 2), "groups": 2, "padding_mode": "reflect"},
        {"kernel_size": 7, "padding": 3, "padding_mode": "replicate", "bias": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("normed", [True, False])
def test_single_convolutions(arguments, normed):
    after = [nn.BatchNorm2d(6, eps=1e-3)] if normed else []
    network = trained_like(lambda: nn.Sequential(nn.Conv2d(4, 6, **arguments), *after))
    converted = same_function(network, 2, 4, 15, 18)
    assert blocks(converted) == ["0"]
    assert norms(converted) == 3


def test_a_lone_convolution_becomes_the_block_itself():
    network = trained_like(lambda: nn.Conv2d(3, 5, 3, padding=1))
    assert isinstance(same_function(network, 1, 3, 6, 7), ACBlock)


class PreActivation(nn.Module):
    """The names of a ResNet block, in another order: each norm stands before its convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(4)
        self.conv1 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = self.conv1(torch.relu(self.bn1(maps)))
        return self.conv2(torch.relu(self.bn2(inner))) + maps


class NormReadTwice(nn.Module):
    """The convolution's result is read beside its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        raw = self.conv(maps)
        return self.bn(raw) + raw


class SharedNorm(nn.Module):
    """One norm behind two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.bn(self.first(maps)) + self.bn(self.second(maps))


class Untraceable(nn.Module):
    """Branches on a value; a neighbour in a Sequential is then the only proof."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.conv = nn.Conv2d(4, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        maps = self.unit(maps)
        return self.bn(self.conv(maps)) if maps.sum() > -1e9 else maps


class Recurrent(nn.Module):
    """One convolution and norm, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(torch.relu(self.bn(self.conv(maps)))))


@pytest.mark.parametrize(
    ("build", "channels", "kept_outside"),
    [
        (PreActivation, 4, ["bn1"]),  # bn2 does read conv1 alone, and becomes its norm
        (NormReadTwice, 3, ["bn"]),
        (SharedNorm, 3, ["bn"]),
        (Untraceable, 3, ["bn"]),
        (Recurrent, 3, ["bn"]),
    ],
)
def test_only_a_norm_that_alone_reads_the_convolution_moves_in(build, channels, kept_outside):
    converted = same_function(trained_like(build), 1, channels, 11, 8)
    outside = [name for name, child in converted.named_children() if type(child) is nn.BatchNorm2d]
    assert outside == kept_outside


def test_norms_without_weight_or_statistics_stay_outside():
    for options in ({"affine": False}, {"track_running_stats": False}):
        norm = nn.BatchNorm2d(4, **options)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), norm).double().eval()
        assert isinstance(same_function(network, 2, 3, 9, 9)[1], nn.BatchNorm2d)


class ReadsWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(maps, self.conv.weight.abs())


def hooked() -> nn.Module:
    conv = nn.Conv2d(3, 4, 3)
    conv.register_forward_hook(lambda *_: None)
    return conv


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Conv2d(3, 4, 1),
        lambda: nn.Conv2d(3, 4, 4),
        lambda: nn.Conv2d(3, 4, (3, 1)),
        lambda: nn.ConvTranspose2d(3, 4, 3),
        lambda: parametrizations.weight_norm(nn.Conv2d(3, 4, 3)),
        hooked,
        ReadsWeight,
    ],
)
def test_others_are_left_alone(build):
    converted = same_function(nn.Sequential(trained_like(build)), 1, 3, 7, 9)
    assert blocks(converted) == []
    assert norms(converted) == 0


def test_a_module_at_two_places_stays_one():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    converted = same_function(nn.Sequential(conv, nn.ReLU(), conv).double().eval(), 1, 3, 5, 6)
    assert converted[0] is converted[2]


def test_the_given_network_is_untouched():
    network = trained_like(lambda: models.resnet18(num_classes=3)).train()
    before = copy.deepcopy(network.state_dict())
    converted = acb_convert(network)
    assert converted.training
    assert network.training
    assert blocks(network) == []
    assert before.keys() == network.state_dict().keys()
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_the_first_training_step_starts_at_the_same_function():
    """Batch statistics too: the strips weigh nothing yet, and the square part is the original."""
    network = trained_like(lambda: models.resnet18(num_classes=3)).train()
    images = torch.randn(4, 3, 40, 33, dtype=torch.float64)
    torch.testing.assert_close(
        acb_convert(network)(images), copy.deepcopy(network)(images), rtol=1e-9, atol=1e-9
    )


def test_every_branch_comes_to_contribute():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 3))
    converted = acb_convert(network).train()
    optimizer = torch.optim.SGD(converted.parameters(), lr=0.1)
    images, wanted = torch.randn(8, 3, 9, 8), torch.randn(8, 2, 5, 4)
    started = {name: p.detach().clone() for name, p in converted.named_parameters()}
    for _ in range(3):
        optimizer.zero_grad()
        functional.mse_loss(converted(images), wanted).backward()
        optimizer.step()
    for name, parameter in converted.named_parameters():
        assert not torch.equal(parameter, started[name]), name
    assert all(
        block.get_submodule(f"{branch}_bn").weight.abs().min() > 0
        for block in converted.modules()
        if isinstance(block, ACBlock)
        for branch in ("ver", "hor")
    )


def test_the_identity_start_is_exact_in_float32_too():
    """Compared in float64, where a variance rounded to float32 would show as 1e-8."""
    network = nn.Conv2d(3, 4, 3).eval()
    converted = copy.deepcopy(acb_convert(network)).double()
    images = torch.randn(1, 3, 8, 9, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(
            converted(images), network.double()(images), rtol=1e-12, atol=1e-14
        )


def test_it_is_part_of_the_python_interface():
    assert cnn_export.acb_convert is acb_convert
