"""Reductions, sorting and cumulative sums of MIL against torch in float64."""

import pytest
import torch
from mil_checks import check_case, evaluate_cases, mb


def reduction_builder(kind):
    return lambda positive: getattr(mb, kind)(x=positive, axes=[1, -1], keep_dims=True)


REDUCTIONS = {
    kind: (reduction_builder(kind), reference)
    for kind, reference in {
        "reduce_l1_norm": lambda x: x.abs().sum((1, 3), keepdim=True),
        "reduce_l2_norm": lambda x: torch.linalg.vector_norm(x, dim=(1, 3), keepdim=True),
        "reduce_log_sum": lambda x: x.sum((1, 3), keepdim=True).log(),
        "reduce_log_sum_exp": lambda x: torch.logsumexp(x, (1, 3), keepdim=True),
        "reduce_max": lambda x: x.amax((1, 3), keepdim=True),
        "reduce_mean": lambda x: x.mean((1, 3), keepdim=True),
        "reduce_min": lambda x: x.amin((1, 3), keepdim=True),
        "reduce_prod": lambda x: x.prod(3, keepdim=True).prod(1, keepdim=True),
        "reduce_sum": lambda x: x.sum((1, 3), keepdim=True),
        "reduce_sum_square": lambda x: (x * x).sum((1, 3), keepdim=True),
    }.items()
}
OTHERS = {
    "argsort": (lambda x: mb.argsort(x=x, axis=1), lambda x: x.argsort(1, descending=True)),
    "cumsum": (lambda x: mb.cumsum(x=x, axis=2), lambda x: x.cumsum(2)),
    "cumsum reverse": (
        lambda x: mb.cumsum(x=x, axis=2, reverse=True, exclusive=True),
        lambda x: x.flip(2).cumsum(2).flip(2) - x,
    ),
    "reduce_argmax": (
        lambda x: mb.reduce_argmax(x=x, axis=1, keep_dims=True),
        lambda x: x.argmax(1, keepdim=True),
    ),
    "reduce_argmin": (lambda x: mb.reduce_argmin(x=x, axis=2), lambda x: x.argmin(2)),
    "reduce_mean all": (lambda x: mb.reduce_mean(x=x), lambda x: x.mean()),
    "topk": (lambda x: mb.topk(x=x, k=3, axis=1), lambda x: list(x.topk(3, 1))),
    "topk ascending": (
        lambda x: mb.topk(x=x, k=2, axis=2, ascending=True),
        lambda x: list(x.topk(2, 2, largest=False)),
    ),
}
CASES = {**REDUCTIONS, **OTHERS}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "reduction.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
