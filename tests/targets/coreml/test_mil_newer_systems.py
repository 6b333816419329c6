"""MIL ops that only newer systems have, against torch in float64."""

import torch
from mil_checks import check_case, ct, evaluate_cases, mb

KINDS = {"scaled_dot_product_attention", "slice_update"}


def build(left, right):
    attention = mb.scaled_dot_product_attention(query=left, key=right, value=right)
    update = mb.slice_by_size(x=left, begin=[0, 0, 0], size=[2, 1, 2])
    return mb.slice_update(
        x=attention, update=update, begin=[0, 1, 0], end=[2, 2, 4], stride=[1, 1, 2]
    )


def reference(x, y):
    wanted = torch.softmax(x @ y.transpose(1, 2) / 2, -1) @ y
    wanted[:, 1:2, ::2] = x[:, :1, :2]
    return wanted


def test_kernels_of_newer_systems(tmp_path):
    case = (build, reference)
    results = evaluate_cases({"new": case}, tmp_path / "new.mlpackage", ct.target.iOS18)
    check_case(case, results["new"])
