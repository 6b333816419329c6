"""SmoothActivations: exponentials and logarithms without comparisons."""

import pytest
import torch
from pass_checks import check_pass, graph_of
from torch import nn

from cnn_export.reparam.passes.legalize.arithmetic.smooth_activations import SmoothActivations

MAP = torch.cat(
    [torch.randn(1, 3, 7, 10) * 4, torch.tensor([0.0, -60.0, 30.0]).expand(1, 3, 7, 3)], 3
)
OPERATORS = {"clamp", "relu", "abs", "neg", "exp", "log", "add", "sub", "mul", "div"}


@pytest.mark.parametrize(
    "activation",
    [
        nn.Softplus(beta=2, threshold=70),
        nn.LogSigmoid(),
        nn.Mish(),
        nn.ELU(),
        nn.ELU(0.5),
        nn.SELU(),
        nn.CELU(0.7),
    ],
)
def test_replaces(activation: nn.Module) -> None:
    assert OPERATORS.issuperset(check_pass(SmoothActivations(), activation, MAP).ops)


def test_softplus_is_off_by_what_torch_leaves_out() -> None:
    """Above the threshold torch's softplus is its argument: e^−20 less than the function."""
    given = torch.tensor([19.0, 20.001, 25.0, 700.0, -700.0], dtype=torch.float64)
    graph_module = graph_of(nn.Softplus(), given)
    SmoothActivations()(graph_module)
    (actual,) = graph_module(given)
    assert torch.allclose(actual, nn.functional.softplus(given), rtol=1.1e-10, atol=1e-16)
    assert torch.allclose(actual, torch.logaddexp(given, torch.zeros(5)), rtol=1e-14, atol=1e-16)


def test_refuses_an_early_line() -> None:
    checked = check_pass(SmoothActivations(), nn.Softplus(threshold=5), MAP)
    assert checked.reasons == ["it is linear from 5 on"]
