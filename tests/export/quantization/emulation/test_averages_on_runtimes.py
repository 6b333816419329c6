"""Averages whose values lie between two steps: every runtime rounds them as its emulation does."""

from __future__ import annotations

import pytest
import torch
from runtime_files import RUNTIMES, Network, both, traced
from torch import nn

from cnn_export.quantization.decision import WEIGHT_MAX, Decision, LayerWeights, TensorScale

CHANNELS = 256
SIZES = [(2, 3), (3, 5), (4, 4), (7, 7), (10, 11)]
SCALES = {
    "the input's, zero point even": ((6 / 255, -128), (6 / 255, -128)),
    "the input's, zero point odd": ((0.02, -3), (0.02, -3)),
    "another": ((0.031, -7), (0.013, 11)),
}


def _identity() -> nn.Module:
    """Return a layer that changes nothing: behind one, every runtime has its own layout."""
    layer = nn.Conv2d(CHANNELS, CHANNELS, 1, groups=CHANNELS, bias=False)
    nn.init.ones_(layer.weight)
    return layer


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize(
    ("name", "keepdim"), [*((name, True) for name in RUNTIMES), ("onnxruntime", False)]
)
def test_averages_are_equal(name: str, keepdim: bool, scales: str) -> None:
    """One network with an average of every size, of integers that make many ties."""
    given, wanted = (
        TensorScale(float(torch.tensor(scale, dtype=torch.float32)), zero_point, "")
        for scale, zero_point in SCALES[scales]
    )
    parts = [
        (lambda x, f, h=h, w=w: f(x)[:, :, :h, :w].mean((2, 3), keepdim=keepdim), [_identity()])
        for h, w in SIZES
    ]
    generator = torch.Generator().manual_seed(2)
    integers = torch.randint(-128, 128, (1, CHANNELS, 10, 12), generator=generator)
    inputs = (integers - given.zero_point).float() * given.scale
    program = traced(Network(*parts), inputs)
    nodes = [node.name for node in program.graph_module.graph.nodes]
    tensors = {
        node: wanted if node.startswith("mean") else given
        for node in nodes
        if node.startswith(("x", "conv2d", "slice", "mean"))
    }
    step = LayerWeights((float(torch.tensor(1 / WEIGHT_MAX, dtype=torch.float32)),) * CHANNELS)
    weights = {node: step for node in nodes if node.startswith("conv2d")}
    actual, expected = both(RUNTIMES[name], program, Decision(tensors, weights), inputs)
    differing = [int((a != e).sum()) for a, e in zip(actual, expected, strict=True)]
    assert differing == [0] * len(SIZES)
