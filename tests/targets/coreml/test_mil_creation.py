"""MIL ops that make tensors or mask them, against torch in float64."""

import pytest
import torch
from mil_checks import check_case, evaluate_cases, mb

CASES = {
    "band_part": (lambda x: mb.band_part(x=x, lower=1, upper=2), lambda x: x.triu(-1).tril(2)),
    "fill_like": (
        lambda x: mb.fill_like(ref_tensor=x, value=1.5),
        lambda x: torch.full_like(x, 1.5),
    ),
    "shape": (lambda x: mb.shape(x=x), lambda x: torch.tensor(x.shape)),
    "fill": (lambda sizes: mb.fill(shape=sizes, value=0.5), lambda _: torch.full((2, 3), 0.5)),
    "one_hot": (
        lambda classes: mb.one_hot(
            indices=classes, one_hot_vector_size=4, on_value=2.5, off_value=-1.0
        ),
        lambda x: torch.eye(4)[x.long()] * 3.5 - 1,
    ),
    "range_1d": (
        lambda limit: mb.range_1d(start=1, end=mb.squeeze(x=limit), step=3),
        lambda _: torch.tensor([1, 4, 7]),
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "creation.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
