"""ReshapedRanks: dimensions of one come and go by reshapes."""

import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.passes.legalize.shapes.reshaped_ranks import ReshapedRanks


class _Ranks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unsqueeze(1).squeeze(-1).squeeze(1).unsqueeze(-1)


def test_replaces() -> None:
    assert check_pass(ReshapedRanks(), _Ranks(), torch.randn(2, 3, 1)).ops == ["reshape"] * 4


def test_refuses_symbolic_sizes() -> None:
    checked = check_pass(ReshapedRanks(), _Ranks(), torch.randn(2, 3, 1), dynamic=True)
    assert not checked.result.modified
    assert set(checked.reasons) == {"its sizes are not known"}
