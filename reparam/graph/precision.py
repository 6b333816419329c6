"""Carry a graph to float64 and back, so that weights are rounded once, after the last pass.

Only the graph's one working dtype moves. Other floating dtypes (a half-precision island) stay as
they are, so their conversions keep their effect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import torch
from torch import fx, nn
from torch.fx.node import map_aggregate
from torch.utils import _pytree as pytree

from cnn_export.reparam.graph.errors import ReparameterizationError
from cnn_export.reparam.graph.operators import static_sizes


def working_dtype(graph_module: fx.GraphModule) -> torch.dtype:
    """Return the floating dtype of most stored elements, else of the first input, else float32.

    Raises:
        ReparameterizationError: float64 is mixed with another working dtype; then the way back
            from float64 would be ambiguous.
    """
    counts: dict[torch.dtype, int] = {}
    for tensor in graph_module.state_dict().values():
        if tensor.is_floating_point():
            counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.numel()
    dtype = max(counts, key=counts.__getitem__) if counts else _input_dtype(graph_module)
    if dtype != torch.float64:
        _refuse_float64(graph_module)
    return dtype


def cast(graph_module: fx.GraphModule, source: torch.dtype, to: torch.dtype) -> None:
    """Move stored tensors, fake values and dtype arguments from one dtype to another, in place.

    Tensors are replaced, never written to; a tensor stored under two names stays one tensor.
    """
    if source == to:
        return
    cast_stored(graph_module, source, to)
    seen: dict[Any, torch.Tensor] = {}
    for node in graph_module.graph.nodes:
        node.args = _map_dtype(node.args, source, to)
        node.kwargs = _map_dtype(node.kwargs, source, to)
        if "val" in node.meta:
            node.meta["val"] = _cast_fake(node.meta["val"], source, to, seen)
    graph_module.recompile()


def cast_stored(module: nn.Module, source: torch.dtype, to: torch.dtype) -> None:
    """Replace the module's stored tensors of one dtype by casts; one under two names stays one."""
    # The old tensor is kept beside the new one: a freed tensor's id may come back.
    done: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in done:
            new = tensor.detach().to(to)
            is_parameter = isinstance(tensor, nn.Parameter)
            done[id(tensor)] = (tensor, nn.Parameter(new, False) if is_parameter else new)
        return done[id(tensor)][1]

    for owner in module.modules():
        stored = [*owner.named_parameters("", False, False), *owner.named_buffers("", False, False)]
        for name, tensor in stored:
            if tensor.dtype == source:
                setattr(owner, name, moved(tensor))


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Generator[None]:
    """Let operators without a dtype argument (``zeros``, integer division) yield ``dtype``."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _input_dtype(graph_module: fx.GraphModule) -> torch.dtype:
    values = [node.meta.get("val") for node in graph_module.graph.find_nodes(op="placeholder")]
    floating = (v.dtype for v in values if isinstance(v, torch.Tensor) and v.is_floating_point())
    return next(floating, torch.float32)


def _refuse_float64(graph_module: fx.GraphModule) -> None:
    for node in graph_module.graph.nodes:
        for value in pytree.tree_leaves(node.meta.get("val")):
            if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
                raise ReparameterizationError(
                    f"{node.name} computes in float64 inside a network of another precision; "
                    "convert the model to one dtype or skip the reparameterization"
                )


def _map_dtype(value: Any, source: torch.dtype, to: torch.dtype) -> Any:
    def moved(leaf: Any) -> Any:
        return to if leaf is source else leaf

    return map_aggregate(value, moved)


def _cast_fake(
    value: Any, source: torch.dtype, to: torch.dtype, seen: dict[Any, torch.Tensor]
) -> Any:
    """Cast the tensors in ``value``; those of equal static layout share one result in ``seen``."""

    def leaf(each: Any) -> Any:
        if not isinstance(each, torch.Tensor) or each.dtype != source:
            return each
        if static_sizes(each.shape) is None:
            return each.to(to)
        # A cast of a fake tensor takes as long as a small convolution, and networks repeat sizes.
        layout = (tuple(each.shape), each.stride(), each.device)
        if layout not in seen:
            seen[layout] = each.to(to)
        return seen[layout]

    with torch.no_grad():
        return pytree.tree_map(leaf, value)


def promoted_default(dtype: torch.dtype) -> torch.dtype:
    """Return the default dtype that a network of this working dtype needs once it is float64."""
    default = torch.get_default_dtype()
    return torch.float64 if dtype == default else default
