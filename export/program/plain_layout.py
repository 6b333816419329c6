"""Stored tensors in C order: what a checkpoint holds permuted, expanded or overlapping.

Converters make such tensors contiguous themselves, in copies that live for a moment. litert-torch
remembers constants by address, which the next copy has again: of equal-shaped weights, some then
are others' in the file. ExecuTorch convolves no map whose channels lie last.
"""

from __future__ import annotations

import torch
from torch import fx, nn


def plain_layout(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor with its elements one after the other in C order: itself, or a copy."""
    if tensor.stride() == torch.empty(tensor.shape, device="meta").stride():
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def store_plainly(graph_module: fx.GraphModule) -> None:
    """Replace the graph's stored tensors of other layouts; one under two names stays one."""
    plain: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for owner in graph_module.modules():
        stored = [*owner.named_parameters("", False, False), *owner.named_buffers("", False, False)]
        for name, tensor in stored:
            if id(tensor) not in plain:
                plain[id(tensor)] = (tensor, _plain(tensor))
            setattr(owner, name, plain[id(tensor)][1])


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    values = plain_layout(tensor.detach())
    if values.stride() == tensor.stride():
        return tensor
    return (
        nn.Parameter(values, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else values
    )
