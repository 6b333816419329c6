"""One operator in every format, against formulas of papers and torch's own flop counter."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from cost_networks import lowered, read_cost
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.targets import TARGETS

FLOAT = 4


def contractions(cost: ArtifactCost) -> ArtifactCost:
    """The operators that multiply, and no transposes or paddings around them."""
    cost.ops[:] = [op for op in cost.ops if op.category == "contraction"]
    return cost


def torch_macs(module: nn.Module, shape: tuple[int, ...]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.randn(shape))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize(("source", "result"), [(6, 10), (16, 3)])
def test_pointwise_convolution_moves_what_shufflenet_v2_says(
    target: str, source: int, result: int, tmp_path: Path
) -> None:
    height, width = 9, 14
    path = lowered(
        nn.Conv2d(source, result, 1, bias=False), target, tmp_path, (1, source, height, width)
    )
    (op,) = contractions(read_cost(path)).ops
    # arXiv 1807.11164, guideline G2: B = hw(c1 + c2) + c1·c2 elements, and hw·c1·c2 products.
    expected = height * width * (source + result) + source * result
    zero_bias = op.weight_bytes - FLOAT * source * result
    assert zero_bias in (0, FLOAT * result), "only a bias may join: some formats need one"
    assert op.mac_bytes - zero_bias == FLOAT * expected
    assert op.macs == height * width * source * result
    assert op.arithmetic_intensity == op.macs / op.mac_bytes


LAYERS = {
    "strided": nn.Conv2d(5, 8, 3, stride=2, padding=1),
    "dilated": nn.Conv2d(8, 6, 3, dilation=2),
    "depthwise": nn.Conv2d(6, 6, 5, padding=2, groups=6),
    "depthwise_multiplied": nn.Conv2d(6, 12, 3, padding=1, groups=6),
    "grouped": nn.Conv2d(12, 8, 3, padding=1, groups=4),
    "rectangular": nn.Conv2d(8, 4, (1, 5), padding=(0, 2)),
    "transposed": nn.ConvTranspose2d(4, 6, 2, stride=2),
    "flat": nn.Flatten(),
    "linear": nn.Linear(6 * 10 * 18, 7),
}
SHAPE = (2, 5, 17, 25)


@pytest.fixture(scope="module", params=list(TARGETS))
def layers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """The operators of all layers in a row, and the batch, in one format."""
    folder = tmp_path_factory.mktemp(request.param)
    network = nn.Sequential(*LAYERS.values())
    cost = read_cost(lowered(network, request.param, folder, SHAPE))
    assert cost.batch == SHAPE[0]
    return contractions(cost).ops


def inputs_of_layers() -> list[tuple[nn.Module, tuple[int, ...]]]:
    """Every layer but the view, with the shape of its input."""
    found, x = [], torch.randn(SHAPE)
    for layer in LAYERS.values():
        found.append((layer, tuple(x.shape)))
        x = layer(x)
    return [each for each in found if not isinstance(each[0], nn.Flatten)]


def test_macs_are_torchs(layers) -> None:
    expected = [torch_macs(module, shape) for module, shape in inputs_of_layers()]
    assert len(set(expected)) == len(expected), "equal counts would hide an exchange"
    assert [op.macs for op in layers] == expected


def test_weights_and_outputs_are_those_of_the_tensors(layers) -> None:
    for op, (module, shape) in zip(layers, inputs_of_layers(), strict=True):
        assert op.weight_bytes == FLOAT * sum(p.numel() for p in module.parameters())
        assert op.output_bytes == FLOAT * module(torch.randn(shape)).numel()
        # Where the file pads in an operator of its own, the padded tensor is read.
        assert op.input_bytes >= FLOAT * math.prod(shape)


class Product(nn.Module):
    """Two activations multiplied as matrices, one of them transposed."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.matmul(x, x.transpose(1, 2))


@pytest.mark.parametrize("target", list(TARGETS))
def test_product_of_activations_counts_no_weights(target: str, tmp_path: Path) -> None:
    cost = read_cost(lowered(Product(), target, tmp_path, (2, 5, 7)))
    assert cost.macs == 2 * 5 * 5 * 7
    assert cost.weight_bytes == 0
