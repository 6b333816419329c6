"""PlainPowers and ImplicitExpansions: arithmetic without operators of its own kind."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.legalize.arithmetic.implicit_expansions import ImplicitExpansions
from cnn_export.reparam.passes.legalize.arithmetic.plain_powers import PlainPowers

MAP = torch.randn(1, 3, 5, 7)


class _Power(nn.Module):
    def __init__(self, power: float | torch.Tensor) -> None:
        super().__init__()
        self.power = nn.Parameter(power) if isinstance(power, torch.Tensor) else power

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.abs() + 0.1) ** self.power


@pytest.mark.parametrize(
    ("power", "ops"),
    [
        (2, ["mul"]),
        (3.0, ["mul", "mul"]),
        (0.5, ["sqrt"]),
        (-0.5, ["rsqrt"]),
        (0.75, ["log", "mul", "exp"]),
        (-1.3, ["log", "mul", "exp"]),
        (torch.tensor([2.0]), ["mul"]),
    ],
)
def test_powers(power: float | torch.Tensor, ops: list[str]) -> None:
    assert check_pass(PlainPowers(), _Power(power), MAP).ops == ["abs", "add", *ops]


@pytest.mark.parametrize(
    ("power", "reason"),
    [
        (5, "its exponent is 5"),
        (-1, "its exponent is -1"),
        (torch.ones(7), "its exponent is computed"),
    ],
)
def test_refused_powers(power: float | torch.Tensor, reason: str) -> None:
    assert check_pass(PlainPowers(), _Power(power), MAP).reasons == [reason]


class _Normalized(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize(x, dim=1)


class _Expanded(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        repeated = x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        return repeated * 2, repeated - x


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_quotient_repeats_by_itself(dynamic: bool) -> None:
    ops = check_pass(ImplicitExpansions(), _Normalized(), MAP, dynamic=dynamic).ops
    assert ops == ["linalg_vector_norm", "clamp_min", "div"]


def test_what_nothing_else_has_the_shape_of_stays() -> None:
    assert check_pass(ImplicitExpansions(), _Expanded(), MAP).ops == [
        "mean",
        "expand",
        "mul",
        "sub",
    ]
