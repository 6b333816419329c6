"""Gathering and scattering of MIL against torch in float64."""

import numpy as np
import pytest
import torch
from mil_checks import check_case, ct, evaluate_cases, mb, t

from cnn_export.errors import OperatorRefused

INDEX = np.array([2, 0, -1], np.int32)
ROWS = np.array([[1, 0, 2, 1, 0, 1, 1]] * 2, np.int32).reshape(2, 1, 7, 1)
CASES = {
    "gather": (lambda x: mb.gather(x=x, indices=INDEX, axis=1), lambda x: x[:, [2, 0, -1]]),
    "gather_along_axis": (
        lambda x: mb.gather_along_axis(x=x, indices=np.tile(ROWS, (1, 6, 1, 5)), axis=2),
        lambda x: x.gather(2, t(np.tile(ROWS, (1, 6, 1, 5))).long()),
    ),
    "gather_nd": (
        lambda x: mb.gather_nd(x=x, indices=np.array([[1, 2], [0, 5]], np.int32)),
        lambda x: torch.stack([x[1, 2], x[0, 5]]),
    ),
    "scatter": (
        lambda x: mb.scatter(
            data=x, indices=[4, 1], updates=np.ones((2, 2, 7, 5), np.float32), axis=1
        ),
        lambda x: x + torch.tensor([0, 1, 0, 0, 1, 0]).reshape(6, 1, 1),
    ),
    "scatter update": (
        lambda x: mb.scatter(
            data=x, indices=[4], updates=np.ones((2, 1, 7, 5), np.float32), axis=1, mode="update"
        ),
        lambda x: torch.cat([x[:, :4], torch.ones(2, 1, 7, 5), x[:, 5:]], 1),
    ),
    "scatter_along_axis": (
        lambda x: mb.scatter_along_axis(
            data=x, indices=np.tile(ROWS, (1, 6, 1, 5)), updates=x, axis=2
        ),
        lambda x: x.scatter_add(2, t(np.tile(ROWS, (1, 6, 1, 5))).long(), x),
    ),
    "scatter_nd": (
        lambda x: mb.scatter_nd(
            data=x, indices=[[1, 2]], updates=np.ones((1, 7, 5), np.float32), mode="update"
        ),
        lambda x: torch.where(torch.arange(12).reshape(2, 6, 1, 1) == 8, 1.0, x),
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "gathering.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])


def test_negative_index_is_refused_where_the_newer_definition_holds(tmp_path):
    inside = {"gather": (lambda x: mb.gather(x=x, indices=[2, 0], axis=1), lambda x: x[:, [2, 0]])}
    got = evaluate_cases(inside, tmp_path / "inside.mlpackage", ct.target.iOS17)
    check_case(inside["gather"], got["gather"])
    with pytest.raises(OperatorRefused, match=r"gather .*index -1 is outside of 0\.\.5"):
        evaluate_cases({"gather": CASES["gather"]}, tmp_path / "outside.mlpackage", ct.target.iOS17)
