"""Editing a graph: every node added here knows its shape and the source line it stands for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch._dispatch.python import enable_python_dispatcher
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.node import map_arg

from cnn_export.reparam.graph.attributes import constant, register
from cnn_export.reparam.graph.operators import overload, static_sizes

INHERITED_META = ("stack_trace", "nn_module_stack")
"""What a new node takes over from the node it replaces, so that messages find the source."""


def insert_constant(
    graph_module: fx.GraphModule,
    hint: str,
    tensor: torch.Tensor,
    *,
    before: fx.Node,
    like: fx.Node,
    is_weight: bool = True,
) -> fx.Node:
    """Store ``tensor`` under a fresh name and return a ``get_attr`` node placed at ``before``.

    A number of an operator is no weight (``is_weight``): it does not count as a parameter.
    """
    name = register(graph_module, hint, tensor.detach(), is_weight=is_weight)
    with graph_module.graph.inserting_before(before):
        node = graph_module.graph.get_attr(name)
    node.meta["val"] = fake_tensor(graph_module.graph, tensor)
    _inherit(node, like)
    return node


def insert_reader(node: fx.Node, *, before: fx.Node) -> fx.Node:
    """Read a stored tensor once more at another place: its first reader may stand behind that."""
    with before.graph.inserting_before(before):
        return before.graph.node_copy(node)


def insert_call(
    graph: fx.Graph,
    target: OpOverload,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    before: fx.Node,
    like: fx.Node,
) -> fx.Node:
    """Add a call at ``before``; its ``meta["val"]`` is computed on fake tensors."""
    with graph.inserting_before(before):
        node = graph.call_function(target, args, kwargs or {})
    node.meta["val"] = fake_result(node)
    _inherit(node, like)
    return node


def fake_tensor(graph: fx.Graph, tensor: torch.Tensor) -> torch.Tensor:
    """Return what describes a stored tensor in ``meta["val"]``."""
    return _fake_mode(graph).from_tensor(tensor.detach(), static_shapes=True)


def fake_result(node: fx.Node) -> Any:
    """Return what a call yields on its arguments' fake tensors; symbolic sizes stay symbolic.

    The dispatcher is the one of a trace: without it a constant pad asks for the sizes as numbers
    and so fixes the batch of the whole graph.
    """

    def value_at(argument: fx.Node) -> Any:
        return argument.meta["val"]

    args: Any = map_arg(node.args, value_at)
    kwargs: Any = map_arg(node.kwargs, value_at)
    target: Any = node.target
    with torch.no_grad(), _fake_mode(node.graph), enable_python_dispatcher():
        return target(*args, **kwargs)


def replace(old: fx.Node, new: fx.Node) -> None:
    """Let every user of ``old`` read ``new`` and remove ``old`` from the graph."""
    old.replace_all_uses_with(new, delete_user_cb=lambda user: user is not new)
    old.graph.erase_node(old)


@dataclasses.dataclass(frozen=True)
class Respelling:
    """What replaces one node is inserted in front of it, in its dtype, with its source line."""

    graph_module: fx.GraphModule
    node: fx.Node

    def call(self, target: OpOverload, *args: Any) -> fx.Node:
        """Insert a call of positional arguments."""
        node = self.node
        return insert_call(node.graph, target, args, before=node, like=node)

    def insert_number(self, hint: str, tensor: torch.Tensor) -> fx.Node:
        """Store numbers of an operator, which are no weights, and read them."""
        wanted = tensor.to(self.node.meta["val"].dtype)
        return insert_constant(
            self.graph_module, hint, wanted, before=self.node, like=self.node, is_weight=False
        )

    def repeat(self, argument: Callable[[fx.Node], fx.Node]) -> fx.Node:
        """Insert the node's own call once more, of other arguments."""
        node, target = self.node, overload(self.node)
        if target is None:
            raise TypeError(f"{node.name} is no ATen call")
        args: Any = map_arg(node.args, argument)
        kwargs: Any = map_arg(node.kwargs, argument)
        return insert_call(node.graph, target, args, kwargs, before=node, like=node)

    def insert_reshaped(self, value: fx.Node, sizes: list[int]) -> fx.Node:
        """Return a value in another shape: of a stored tensor once more, stored once for all."""
        tensor = constant(self.graph_module, value)
        if tensor is None:
            return self.call(torch.ops.aten.reshape.default, value, sizes)
        shaped = tensor.reshape(sizes).contiguous()
        hint = re.sub(r"\W", "_", f"{value.target}_as_{'x'.join(map(str, sizes))}")
        stored = getattr(self.graph_module, hint, None)
        if not isinstance(stored, torch.Tensor) or not torch.equal(stored, shaped):
            node = self.node
            return insert_constant(self.graph_module, hint, shaped, before=node, like=node)
        with self.node.graph.inserting_before(self.node):
            reader = self.node.graph.get_attr(hint)
        reader.meta["val"] = fake_tensor(self.node.graph, shaped)
        _inherit(reader, self.node)
        return reader

    def insert_unsqueezed(self, value: fx.Node, dim: int) -> fx.Node:
        """Insert a dimension of one: by a reshape, or where a size is symbolic by ``unsqueeze``."""
        sizes = static_sizes(value.meta["val"].shape)
        if sizes is None:
            return self.call(torch.ops.aten.unsqueeze.default, value, dim)
        return self.call(torch.ops.aten.reshape.default, value, [*sizes[:dim], 1, *sizes[dim:]])

    def insert_squeezed(self, value: fx.Node, dim: int) -> fx.Node:
        """Drop a dimension of one, in the same way."""
        sizes = static_sizes(value.meta["val"].shape)
        if sizes is None:
            return self.call(torch.ops.aten.squeeze.dim, value, dim)
        return self.call(torch.ops.aten.reshape.default, value, [*sizes[:dim], *sizes[dim + 1 :]])

    def give(self, result: fx.Node) -> None:
        """Let every reader of the node read ``result``, and remove the node."""
        replace(self.node, result)


def _fake_mode(graph: fx.Graph) -> FakeTensorMode:
    """Return the fake mode the graph was traced in."""
    for node in graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, FakeTensor):
            return value.fake_mode
    raise ValueError("the graph carries no fake tensors: capture it with torch.export first")


def _inherit(node: fx.Node, like: fx.Node) -> None:
    node.meta.update({key: like.meta[key] for key in INHERITED_META if key in like.meta})
