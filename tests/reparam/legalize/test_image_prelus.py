"""ImagePRelus and ChannelWindows: shapes that converters take."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.pass_pipeline import DEFAULT_PASSES
from cnn_export.reparam.passes.legalize.arithmetic.channel_windows import ChannelWindows
from cnn_export.reparam.passes.legalize.image_prelus import ImagePRelus


@pytest.mark.parametrize(("dynamic", "rank"), [(False, "reshape"), (True, "unsqueeze")])
@pytest.mark.parametrize("slopes", [1, 5])
def test_prelus_of_vectors_and_lines(slopes: int, dynamic: bool, rank: str) -> None:
    for shape in ((2, 5), (2, 5, 6)):
        ops = check_pass(ImagePRelus(), nn.PReLU(slopes), torch.randn(shape), dynamic=dynamic).ops
        assert ops.count("prelu") == 1
        assert ops.count(rank) >= 4 - len(shape)


@pytest.mark.parametrize("shape", [(5,), (2, 5, 3, 4)])
def test_other_prelus_stay(shape: tuple[int, ...]) -> None:
    assert not check_pass(ImagePRelus(), nn.PReLU(), torch.randn(shape)).result.modified


@pytest.mark.parametrize("size", [3, 5])
def test_local_response_normalization(size: int) -> None:
    module, given = nn.LocalResponseNorm(size, 0.1), torch.randn(1, 8, 5, 6)
    checked = check_pass(ChannelWindows(), module, given, before=DEFAULT_PASSES)
    assert checked.ops == ["mul", "conv2d", "conv2d", "pow", "div"]


class _Volume(nn.Module):
    def __init__(self, **options: int | tuple[int, ...]) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 1, (3, 1, 1), **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x.unsqueeze(1).reshape(1, 1, 8, 5, 6)).squeeze(1)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"stride": (2, 1, 1)}, "its windows have gaps, or padding beside the channels"),
        ({"padding": (1, 1, 0)}, "its windows have gaps, or padding beside the channels"),
    ],
)
def test_refused_volumes(options: dict[str, tuple[int, ...]], reason: str) -> None:
    checked = check_pass(ChannelWindows(), _Volume(**options), torch.randn(1, 8, 5, 6))
    assert checked.reasons == [reason]
