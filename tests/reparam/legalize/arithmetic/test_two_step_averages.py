"""TwoStepAverages: the mean of a large map as a mean of means."""

import numpy as np
import pytest
import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.passes.legalize.arithmetic.two_step_averages import TwoStepAverages


class _Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


@pytest.mark.parametrize(
    ("size", "window"),
    [((224, 224), [16, 14]), ((33, 32), [1, 32]), ((37, 41), [1, 37]), ((40, 40), [5, 8])],
)
def test_replaces(size: tuple[int, int], window: list[int]) -> None:
    checked = check_pass(TwoStepAverages(), _Mean(), torch.randn(1, 2, *size))
    assert checked.ops == ["avg_pool2d", "mean"]
    (pool,) = (each for each in checked.graph_module.graph.nodes if "avg_pool2d" in each.name)
    assert sorted(pool.args[1]) == sorted(window)


def test_takes_a_third_step() -> None:
    checked = check_pass(TwoStepAverages(), _Mean(), torch.randn(1, 1, 1024, 1031))
    assert checked.ops == ["avg_pool2d", "avg_pool2d", "mean"]


@pytest.mark.parametrize("size", [(7, 7), (32, 32)])
def test_leaves_small_maps(size: tuple[int, int]) -> None:
    assert not check_pass(TwoStepAverages(), _Mean(), torch.randn(1, 2, *size)).result.modified


def test_one_after_the_other_is_the_reason() -> None:
    """What the docstring says of sums in order, in numpy's float32."""
    value = np.float32(0.7312345)
    flat = np.full(224 * 224, value)
    at_once = np.add.accumulate(flat)[-1] / np.float32(flat.size)
    parts = np.add.accumulate(flat.reshape(-1, 224), 1)[:, -1] / np.float32(224)
    in_steps = np.add.accumulate(parts)[-1] / np.float32(224)
    assert abs(at_once / value - 1) > 1e-4
    assert abs(in_steps / value - 1) < 1e-5
