"""Normalizations of MIL against torch in float64."""

import pytest
import torch.nn.functional as F
from mil_checks import CHANNEL, VARIANCE, check_case, column, evaluate_cases, mb, t

CASES = {
    "batch_norm": (
        lambda x: mb.batch_norm(
            x=x, mean=CHANNEL, variance=VARIANCE, gamma=VARIANCE, beta=CHANNEL, epsilon=0.1
        ),
        lambda x: (
            (x - column(CHANNEL)) / (column(VARIANCE) + 0.1).sqrt() * column(VARIANCE)
            + column(CHANNEL)
        ),
    ),
    "instance_norm": (
        lambda x: mb.instance_norm(x=x, gamma=VARIANCE, beta=CHANNEL, epsilon=0.1),
        lambda x: F.instance_norm(x, weight=t(VARIANCE), bias=t(CHANNEL), eps=0.1),
    ),
    "l2_norm": (
        lambda x: mb.l2_norm(x=x, epsilon=0.1),
        lambda x: x / ((x * x).sum((1, 2, 3), keepdim=True) + 0.1).sqrt(),
    ),
    "layer_norm": (
        lambda x: mb.layer_norm(x=x, axes=[-1], gamma=VARIANCE[:5], beta=CHANNEL[:5], epsilon=0.1),
        lambda x: F.layer_norm(x, (5,), t(VARIANCE[:5]), t(CHANNEL[:5]), 0.1),
    ),
    "local_response_norm": (
        lambda x: mb.local_response_norm(x=x, size=3, alpha=0.9, beta=0.6, k=1.5),
        lambda x: F.local_response_norm(x, 3, 0.9, 0.6, 1.5),
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "normalization.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
