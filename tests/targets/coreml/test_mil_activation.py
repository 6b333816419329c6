"""Activations of MIL against torch in float64."""

import pytest
import torch
import torch.nn.functional as F
from mil_checks import CHANNEL, VARIANCE, check_case, column, evaluate_cases, mb


def builder(kind):
    return lambda x: getattr(mb, kind)(x=x)


PLAIN = {
    kind: (builder(kind), reference)
    for kind, reference in {
        "relu": F.relu,
        "sigmoid": torch.sigmoid,
        "silu": F.silu,
        "softplus": F.softplus,
        "softsign": F.softsign,
    }.items()
}
OTHERS = {
    "relu6": (lambda x: mb.relu6(x=mb.mul(x=x, y=4.0)), lambda x: F.relu6(4 * x)),
    "clamped_relu": (
        lambda x: mb.clamped_relu(x=x, alpha=0.3, beta=0.8),
        lambda x: torch.where(x >= 0, x, 0.3 * x).clamp(max=0.8),
    ),
    "elu": (lambda x: mb.elu(x=x, alpha=0.7), lambda x: F.elu(x, 0.7)),
    "gelu": (lambda x: mb.gelu(x=x), F.gelu),
    "gelu tanh": (
        lambda x: mb.gelu(x=x, mode="TANH_APPROXIMATION"),
        lambda x: F.gelu(x, approximate="tanh"),
    ),
    "gelu sigmoid": (
        lambda x: mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"),
        lambda x: x / (1 + torch.exp(-1.702 * x)),
    ),
    "leaky_relu": (lambda x: mb.leaky_relu(x=x, alpha=0.2), lambda x: F.leaky_relu(x, 0.2)),
    "linear_activation": (
        lambda x: mb.linear_activation(x=x, alpha=2.0, beta=-0.5),
        lambda x: 2 * x - 0.5,
    ),
    "prelu": (
        lambda x: mb.prelu(x=x, alpha=CHANNEL),
        lambda x: torch.where(x > 0, x, x * column(CHANNEL)),
    ),
    "scaled_tanh": (
        lambda x: mb.scaled_tanh(x=x, alpha=1.7, beta=0.6),
        lambda x: 1.7 * torch.tanh(0.6 * x),
    ),
    "sigmoid_hard": (
        lambda x: mb.sigmoid_hard(x=x, alpha=0.4, beta=0.3),
        lambda x: (0.4 * x + 0.3).clamp(0, 1),
    ),
    "softmax": (lambda x: mb.softmax(x=x, axis=1), lambda x: torch.softmax(x, 1)),
    "softplus_parametric": (
        lambda x: mb.softplus_parametric(x=x, alpha=CHANNEL, beta=VARIANCE),
        lambda x: column(CHANNEL) * torch.log1p(torch.exp(column(VARIANCE) * x)),
    ),
    "thresholded_relu": (
        lambda x: mb.thresholded_relu(x=x, alpha=-0.4),
        lambda x: torch.where(x >= -0.4, x, 0.0),
    ),
}
CASES = {**PLAIN, **OTHERS}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "activation.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
