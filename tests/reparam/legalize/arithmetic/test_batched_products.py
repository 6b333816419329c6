"""BatchedProducts: one list of matrices on either side."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.passes.legalize.arithmetic.batched_products import BatchedProducts


class _Product(nn.Module):
    def __init__(self, other: torch.Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("other", other)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ (x.transpose(-2, -1) if self.other is None else self.other)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("shape", "ops"),
    [
        ((2, 3, 5, 4), ["transpose", "reshape", "reshape", "bmm", "reshape"]),
        ((2, 1, 3, 5, 4), ["transpose", "reshape", "reshape", "bmm", "reshape"]),
        ((2, 5, 4), ["transpose", "bmm"]),
    ],
)
def test_replaces(shape: tuple[int, ...], ops: list[str], dynamic: bool) -> None:
    checked = check_pass(BatchedProducts(), _Product(), torch.randn(shape), dynamic=dynamic)
    assert checked.ops == ops


def test_refuses_what_is_repeated() -> None:
    checked = check_pass(BatchedProducts(), _Product(torch.randn(1, 4, 7)), torch.randn(2, 5, 4))
    assert checked.reasons == ["one side has fewer matrices than the other"]


def test_leaves_layers() -> None:
    checked = check_pass(BatchedProducts(), _Product(torch.randn(4, 7)), torch.randn(2, 5, 4))
    assert not checked.result.modified
    assert checked.reasons == []
