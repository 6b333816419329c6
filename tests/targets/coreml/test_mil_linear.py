"""Matrix products of MIL against torch in float64."""

import pytest
from mil_checks import CHANNEL, check_case, evaluate_cases, mb, normal, t

LINEAR = normal(5, 4, seed=31)
CASES = {
    "linear": (
        lambda matrix: mb.linear(x=matrix, weight=LINEAR, bias=CHANNEL[:5]),
        lambda x: x @ t(LINEAR).T + t(CHANNEL[:5]),
    ),
    "matmul": (
        lambda left, right: mb.matmul(x=left, y=right, transpose_y=True),
        lambda x, y: x @ y.transpose(1, 2),
    ),
    "matmul transpose_x": (
        lambda swapped: mb.matmul(x=swapped, y=swapped, transpose_x=True),
        lambda y: y.transpose(1, 2) @ y,
    ),
    "einsum": (
        lambda query, key: mb.einsum(values=[query, key], equation="nchw,nwhu->nchu"),
        lambda x, y: (x.transpose(1, 2) @ y.transpose(1, 2)).transpose(1, 2),
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "linear.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
