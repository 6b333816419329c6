"""Parameters and buffers of a graph: read, add, drop."""

from __future__ import annotations

import re

import torch
from torch import fx, nn


def attribute(graph_module: fx.GraphModule, path: str) -> torch.Tensor:
    """Return the tensor at a dotted attribute path.

    Raises:
        AttributeError: nothing, or no tensor, lives at that path.
    """
    owner_path, _, name = path.rpartition(".")
    value = getattr(graph_module.get_submodule(owner_path), name)
    if not isinstance(value, torch.Tensor):
        raise AttributeError(f"{path} is a {type(value).__name__}, not a tensor")
    return value


def constant(graph_module: fx.GraphModule, node: object) -> torch.Tensor | None:
    """Return the detached tensor a ``get_attr`` node names, or ``None`` for anything else."""
    if not isinstance(node, fx.Node) or node.op != "get_attr" or not isinstance(node.target, str):
        return None
    try:
        return attribute(graph_module, node.target).detach()
    except AttributeError:
        return None


def register(
    graph_module: fx.GraphModule, hint: str, tensor: torch.Tensor, *, is_weight: bool = True
) -> str:
    """Add a tensor under a fresh name without dots and return the name.

    Floating weights become parameters, all other tensors buffers. They are stored in C order:
    converters copy other layouts, and litert-torch takes such copies for one another.
    """
    name, tensor = _fresh_name(graph_module, hint), tensor.contiguous()
    if is_weight and tensor.is_floating_point():
        graph_module.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
    else:
        graph_module.register_buffer(name, tensor)
    return name


def drop_unused_attributes(graph_module: fx.GraphModule) -> None:
    """Remove every parameter, buffer and submodule that no node of the graph names."""
    used = {node.target for node in graph_module.graph.nodes if node.op == "get_attr"}
    for owner_path, owner in list(graph_module.named_modules()):
        prefix = f"{owner_path}." if owner_path else ""
        parameters = [name for name, _ in owner.named_parameters("", False, False)]
        buffers = [name for name, _ in owner.named_buffers("", False, False)]
        for name in (*parameters, *buffers):
            if prefix + name not in used:
                delattr(owner, name)
    graph_module.delete_all_unused_submodules()


def _fresh_name(graph_module: fx.GraphModule, hint: str) -> str:
    base = re.sub(r"\W", "_", hint) or "constant"
    if not hasattr(graph_module, base):
        return base
    # Trying one number after the other would take time with the square of equal hints.
    taken, free = 0, 1
    while hasattr(graph_module, f"{base}_{free}"):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        is_taken = hasattr(graph_module, f"{base}_{middle}")
        taken, free = (middle, free) if is_taken else (taken, middle)
    return f"{base}_{free}"
