"""Reductions over axes, arguments of extremes, cumulative sums and sorting."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cnn_export.targets.coreml.operators.signature import Ints, Kernel, UnsupportedArgument

Reduce = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def reduction(reduce: Reduce) -> Kernel:
    """Return the kernel of an op that reduces ``axes`` (all when absent)."""

    def kernel(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
        return reduce(x, axes or tuple(range(x.dim())), keep_dims)

    return kernel


def argument_of(extreme: Callable[..., Tensor]) -> Kernel:
    """Return the kernel of ``reduce_argmax`` or ``reduce_argmin``; indices are int32."""

    def kernel(
        x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32"
    ) -> Tensor:
        if output_dtype != "int32":
            raise UnsupportedArgument(f"output_dtype {output_dtype!r}")
        return extreme(x, dim=axis, keepdim=keep_dims).int()

    return kernel


def cumsum(x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    """Return the running sum along ``axis``, without the own element where exclusive."""
    ordered = x.flip(axis) if reverse else x
    total = ordered.cumsum(axis, dtype=x.dtype)
    total = total - ordered if exclusive else total
    return total.flip(axis) if reverse else total


def topk(
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> list[Tensor]:
    """Return the k largest (smallest where ascending) values and their int32 indices."""
    if not sort or output_indices_dtype != "int32":
        raise UnsupportedArgument("unsorted results, or indices other than int32")
    values, indices = torch.topk(x, k, dim=axis, largest=not ascending)
    return [values, indices.int()] if return_indices else [values]


def argsort(x: Tensor, axis: int = -1, ascending: bool = False) -> Tensor:
    """Return the int32 indices that sort x along ``axis``."""
    return torch.argsort(x, dim=axis, descending=not ascending).int()


def _product(x: Tensor, axes: tuple[int, ...], keep_dims: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep_dims, dtype=x.dtype)
    return x


def _sum(x: Tensor, axes: tuple[int, ...], keep_dims: bool) -> Tensor:
    return x.sum(axes, keepdim=keep_dims, dtype=x.dtype)


KERNELS: dict[str, Kernel] = {
    "argsort": argsort,
    "cumsum": cumsum,
    "reduce_argmax": argument_of(torch.argmax),
    "reduce_argmin": argument_of(torch.argmin),
    "reduce_l1_norm": reduction(lambda x, axes, keep: _sum(x.abs(), axes, keep)),
    "reduce_l2_norm": reduction(lambda x, axes, keep: _sum(x.square(), axes, keep).sqrt()),
    "reduce_log_sum": reduction(lambda x, axes, keep: _sum(x, axes, keep).log()),
    "reduce_log_sum_exp": reduction(lambda x, axes, keep: x.logsumexp(axes, keepdim=keep)),
    "reduce_max": reduction(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "reduce_mean": reduction(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "reduce_min": reduction(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
    "reduce_prod": reduction(_product),
    "reduce_sum": reduction(_sum),
    "reduce_sum_square": reduction(lambda x, axes, keep: _sum(x.square(), axes, keep)),
    "topk": topk,
}
