"""ReshapedTransposes: one matrix times a transposed one."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.passes.legalize.shapes.reshaped_transposes import ReshapedTransposes


class _Scores(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ (x * 2).transpose(-2, -1)


class _Permuted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.bmm(x, (x * 2).permute(0, 2, 1))


@pytest.mark.parametrize(
    ("module", "shape", "product"),
    [
        (_Scores(), (1, 5, 4), "matmul"),
        (_Scores(), (1, 1, 5, 4), "matmul"),
        (_Permuted(), (1, 5, 4), "bmm"),
    ],
)
def test_replaces(module: nn.Module, shape: tuple[int, ...], product: str) -> None:
    ops = check_pass(ReshapedTransposes(), module, torch.randn(shape)).ops
    assert ops == ["mul", "reshape", "permute", "reshape", product]


@pytest.mark.parametrize("shape", [(2, 5, 4), (1, 3, 5, 4), (5, 4)])
def test_leaves_several_matrices_and_layers(shape: tuple[int, ...]) -> None:
    assert not check_pass(ReshapedTransposes(), _Scores(), torch.randn(shape)).result.modified


def test_leaves_a_symbolic_batch() -> None:
    checked = check_pass(ReshapedTransposes(), _Scores(), torch.randn(1, 5, 4), dynamic=True)
    assert not checked.result.modified
