"""ComputedKernels: what a tracker correlates with keeps its order through a converter."""

from __future__ import annotations

from pathlib import Path

import networks
import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional

from cnn_export import export
from cnn_export.reparam.passes.legalize.computed_kernels import ComputedKernels

SEEN, SEARCHED = torch.randn(1, 3, 6, 5), torch.randn(1, 3, 11, 13)


class Tracker(nn.Module):
    """Correlates what it searches with what it has seen, whole or channel by channel."""

    def __init__(self, *, depthwise: bool = False) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3)
        self.depthwise = depthwise

    def forward(self, seen: torch.Tensor, searched: torch.Tensor) -> torch.Tensor:
        kernel, maps = self.features(seen), self.features(searched)
        if self.depthwise:
            return functional.conv2d(maps, kernel.transpose(0, 1), groups=4)
        return functional.conv2d(maps, kernel)


@pytest.mark.parametrize("depthwise", [False, True])
def test_reshapes(depthwise: bool) -> None:
    checked = check_pass(ComputedKernels(), Tracker(depthwise=depthwise), SEEN, SEARCHED)
    assert checked.ops[-3:] == ["reshape", "reshape", "conv2d"]


def test_stored_kernels_stay_and_so_do_reshaped_ones() -> None:
    assert not check_pass(ComputedKernels(), networks.small_net(), SEEN).result.modified

    class Routed(nn.Module):
        """Mixes stored kernels by its input, as CondConv does."""

        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.Linear(3, 2 * 3 * 3 * 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.conv2d(x, self.experts(x.mean((2, 3))).view(2, 3, 3, 3))

    assert not check_pass(ComputedKernels(), Routed(), SEEN).result.modified


def test_refuses_a_kernel_for_each_of_a_batch() -> None:
    class Each(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kernels = functional.relu(x)
            return functional.conv2d(functional.pad(x, (1, 1)), kernels)

    checked = check_pass(ComputedKernels(), Each(), torch.randn(2, 3, 6, 5), dynamic=True)
    assert checked.reasons == ["the size of its kernel is the batch's"]


@pytest.mark.parametrize("depthwise", [False, True])
def test_litert_correlates_rightly(depthwise: bool, out: Path) -> None:
    torch.manual_seed(5)
    network = Tracker(depthwise=depthwise)
    result = export(network, "tflite", output=out, example_inputs=(SEEN, SEARCHED))
    kernels = {op.op: op.count for op in result.artifact.manifest.partitions.outside}
    assert kernels == {"DEPTHWISE_CONV_2D" if depthwise else "CONV_2D": 1}
