"""Matrix products."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Tensors, UnsupportedArgument


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x·weightᵀ + bias; weight is (D_out, D_in)."""
    return F.linear(x, weight, bias)


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """Return the batched product x·y, either one transposed in its last two dimensions."""
    left = x.transpose(-1, -2) if transpose_x and x.dim() > 1 else x
    right = y.transpose(-1, -2) if transpose_y and y.dim() > 1 else y
    return torch.matmul(left, right)


def einsum(values: Tensors, equation: str) -> Tensor:
    """Return the Einstein sum of two tensors."""
    return torch.einsum(equation, *values)


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
) -> Tensor:
    """Return softmax(query·keyᵀ/√d + mask)·value; the mask is added, or boolean."""
    if query.dim() < 3:
        raise UnsupportedArgument(f"query of rank {query.dim()}")
    return F.scaled_dot_product_attention(query, key, value, attn_mask)


KERNELS = {
    "einsum": einsum,
    "linear": linear,
    "matmul": matmul,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
