"""Einstein summations: torch's own count, and what is no product of two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cost_networks import read_cost, save_onnx
from onnx import helper
from torch.utils.flop_counter import FlopCounterMode

from cnn_export.artifact_files.macs import einsum
from cnn_export.errors import InputRefused

CASES = [
    ("ij,jk->ik", (3, 5), (5, 7)),
    ("bhid,bhjd->bhij", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("bhij,bhjd->bhid", (2, 3, 4, 6), (2, 3, 6, 5)),
    ("bcn,bc->bn", (2, 3, 5), (2, 3)),
    ("ij,jk", (3, 5), (5, 7)),
    ("...ij,...jk->...ik", (4, 3, 5), (4, 5, 7)),
    ("...ij,jk->...ik", (2, 4, 3, 5), (5, 7)),
    ("i,i->", (5,), (5,)),
    # k of the first is summed before the product.
    ("ijk,jl->il", (3, 5, 11), (5, 7)),
]


@pytest.mark.parametrize(("equation", "left", "right"), CASES)
def test_products_are_torchs(equation: str, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    with FlopCounterMode(display=False) as counter:
        torch.einsum(equation, torch.randn(left), torch.randn(right))
    assert einsum(equation, [left, right]) == counter.get_total_flops() // 2


@pytest.mark.parametrize("equation", ["ij,ij->ij", "i,j->ij", "...i,...i->...i", "ij,kl->"])
def test_without_a_shared_sum_nothing_is_counted(equation: str) -> None:
    left, right = equation.partition("->")[0].split(",")
    shapes = [(3,) * len(term.replace("...", "a")) for term in (left, right)]
    assert einsum(equation, shapes) == 0


def test_other_than_two_factors_are_not_known() -> None:
    assert einsum("ii->", [(3, 3)]) is None
    assert einsum("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]) is None


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [("ij,jk->ik", [(2, 3)]), ("ij,jk->ik", [(2,), (3, 4)]), ("ii,ij->j", [(2, 3), (2, 2)])],
)
def test_what_does_not_fit_is_an_error(equation: str, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"fit|argument|lengths"):
        einsum(equation, shapes)


def test_onnx_node(tmp_path: Path) -> None:
    node = helper.make_node("Einsum", ["x", "w"], ["y"], equation="bci,ck->bki")
    weight = {"w": np.ones((5, 7), np.float32)}
    shapes = {"x": ["batch", 5, 3]}, {"y": ["batch", 7, 3]}
    (op,) = read_cost(save_onnx(tmp_path / "m.onnx", [node], *shapes, weight)).ops
    assert (op.macs, op.category) == (5 * 7 * 3, "contraction")
    assert op.weight_bytes == 4 * 5 * 7
    node = helper.make_node("Einsum", ["x", "w"], ["y"], equation="bci,cki->bki")
    with pytest.raises(InputRefused):
        read_cost(save_onnx(tmp_path / "m.onnx", [node], *shapes, weight))
