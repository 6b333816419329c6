"""Working copies of a graph: own nodes, shared tensors."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import fx

from cnn_export.reparam.graph.precision import cast


def copied(graph_module: fx.GraphModule) -> fx.GraphModule:
    """Return a module with a graph of its own over the same tensors."""
    with warnings.catch_warnings():
        # torch's own tree code warns about itself on every deepcopy.
        warnings.simplefilter("ignore", FutureWarning)
        return fx.GraphModule(graph_module, copy.deepcopy(graph_module.graph))


def float64_copy(graph_module: fx.GraphModule, dtype: torch.dtype) -> fx.GraphModule:
    """Return a copy whose working ``dtype`` became float64; the original stays as it is."""
    duplicate = fx.GraphModule(
        graph_module, copy.deepcopy(graph_module.graph), class_name=type(graph_module).__name__
    )
    cast(duplicate, dtype, torch.float64)
    return duplicate


def adopt(graph_module: fx.GraphModule, source: fx.GraphModule) -> None:
    """Let ``graph_module`` become ``source``: its graph and exactly its tensors.

    ``source`` must not be used afterwards.
    """
    for name, _ in [
        *graph_module.named_children(),
        *graph_module.named_parameters("", False, False),
        *graph_module.named_buffers("", False, False),
    ]:
        delattr(graph_module, name)
    for name, child in source.named_children():
        graph_module.add_module(name, child)
    for name, parameter in source.named_parameters("", False, False):
        graph_module.register_parameter(name, parameter)
    for name, buffer in source.named_buffers("", False, False):
        graph_module.register_buffer(name, buffer)
    graph_module.graph = source.graph


def own_tensors(graph_module: fx.GraphModule) -> None:
    """Replace every stored tensor by a copy; tensors stored under two names stay one."""
    copies: dict[int, torch.Tensor] = {}
    for owner in graph_module.modules():
        stored = (
            *owner.named_parameters("", False, False),
            *owner.named_buffers("", False, False),
        )
        for name, tensor in stored:
            if id(tensor) not in copies:
                copies[id(tensor)] = copy.deepcopy(tensor)
            setattr(owner, name, copies[id(tensor)])
