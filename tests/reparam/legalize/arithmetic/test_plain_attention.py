"""PlainAttention: scores, softmax and values as operators of their own."""

import math

import pytest
import torch
from pass_checks import check_pass, graph_of
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.legalize.arithmetic.plain_attention import PlainAttention

TOKENS = torch.randn(2, 3, 5, 4)
PRODUCTS = ["mul", "transpose", "matmul", "softmax", "matmul"]


class _Attention(nn.Module):
    def __init__(self, mask: torch.Tensor | None = None, **options: object) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.options = options

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x * 2, x - 1, self.mask, **self.options)


class _Computed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x, x, x @ x.transpose(-2, -1))


def _ops(module: nn.Module, *, dynamic: bool = False) -> list[str]:
    ops = check_pass(PlainAttention(), module, TOKENS, dynamic=dynamic).ops
    return ops[2:]  # without how the keys and values are made


@pytest.mark.parametrize("dynamic", [False, True])
def test_replaces(dynamic: bool) -> None:
    assert _ops(_Attention(), dynamic=dynamic) == PRODUCTS
    assert _ops(_Attention(scale=0.3), dynamic=dynamic) == PRODUCTS


@pytest.mark.parametrize(
    "module",
    [
        _Attention(torch.randn(5, 5)),
        _Attention(torch.ones(5, 5).tril(1) > 0),
        _Attention(is_causal=True),
    ],
)
def test_adds_masks(module: nn.Module) -> None:
    assert _ops(module) == [*PRODUCTS[:3], "add", *PRODUCTS[3:]]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (_Attention(torch.full((5, 5), -math.inf)), "its mask leaves nothing of a row"),
        (_Attention(torch.ones(5, 5).tril(-1) > 0), "its mask leaves nothing of a row"),
        (_Computed(), "its mask is computed: it may leave nothing of a row"),
    ],
)
def test_refuses(module: nn.Module, reason: str) -> None:
    graph_module = graph_of(module.double(), TOKENS.double())
    result = PlainAttention()(graph_module)
    assert not result.modified
    assert [each.reason for each in result.refusals] == [reason]
