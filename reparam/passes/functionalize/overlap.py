"""Whether an elementwise write reads elements that it writes, at another place than its own.

``y[:, 1:3] = y[:, 0:2]`` has no defined result: an element may be read before or after it was
written to. PyTorch notices it for dense tensors only (and raises); slices of a batch pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg

from cnn_export.reparam.graph.aliases import aliased_arguments, written_arguments
from cnn_export.reparam.graph.operators import operator_name, overload, value_of
from cnn_export.reparam.passes.functionalize.views import is_identity, is_same_node, replay_target

_Nodes = Mapping[fx.Node, fx.Node]


def overlapping_source(writer: fx.Node, bases: _Nodes, parents: _Nodes) -> fx.Node | None:
    """Return what ``writer`` reads from the memory it writes to, if that makes it undefined.

    ``bases`` maps every node that shows written memory to the node that made it, ``parents`` each
    certain view to what it is a view of. Reading the very element that is written, as in
    ``y.add_(y)``, is defined. Operators that write where an index says are not looked at.
    """
    op = overload(writer)
    if op is None or not (operator_name(writer) == "copy_" or torch.Tag.pointwise in op.tags):
        return None
    target = written_arguments(writer)[0]
    for source in writer.all_input_nodes:
        regions = list(_shown(source, bases[target], bases)) if source is not target else []
        if any(_clash(region, target, parents, exact=region is source) for region in regions):
            return source
    return None


def _shown(source: fx.Node, base: fx.Node, bases: _Nodes) -> Iterator[fx.Node]:
    """Yield views of ``base`` that hold all elements of it that ``source`` may show.

    Where an operator may return a view or a copy (``reshape``), that is what it was given.
    """
    own = bases.get(source)
    if own is base:
        yield source
    elif own is not None:
        for each in aliased_arguments(own):
            yield from _shown(each, base, bases)


def _clash(region: fx.Node, target: fx.Node, parents: _Nodes, *, exact: bool) -> bool:
    """Whether both show an element in common, other than each one at the same place (``exact``)."""
    read, written = _positions(region, parents), _positions(target, parents)
    if not read.numel() or not written.numel() or (exact and torch.equal(read, written)):
        return False
    is_read = torch.zeros(int(max(read.max(), written.max())) + 1, dtype=torch.bool)
    is_read[read] = True
    return bool(is_read[written].any())


def _positions(view: fx.Node, parents: _Nodes) -> torch.Tensor:
    """Return which element of the memory each element of a view is: int64, the view's shape."""
    if view not in parents:
        shape = [_traced(size) for size in value_of(view).shape]
        return torch.arange(math.prod(shape)).reshape(shape)
    whole = _positions(parents[view], parents)
    if is_same_node(view) or is_identity(view):
        return whole
    args: Any = map_arg(view.args[1:], _argument)
    kwargs: Any = map_arg(view.kwargs, _argument)
    return replay_target(view)(whole, *args, **kwargs)


def _argument(node: fx.Node) -> Any:
    """Return a computed size as it was traced, or a tensor of the shape of another."""
    value = node.meta["val"]
    if not isinstance(value, torch.Tensor):
        return _traced(value)
    return torch.zeros(()).expand([_traced(size) for size in value.shape])


def _traced(size: int | torch.SymInt) -> int:
    """Return a size as it was traced. Never adds a guard on a symbolic one."""
    return size if isinstance(size, int) else size.node.hint
