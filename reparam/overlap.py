"""Whether an elementwise write reads elements that it writes, at another place than its own.

``y[:, 1:3] = y[:, 0:2]`` has no defined result: an element may be read before or after it was
written to. PyTorch notices it for dense tensors only (and raises); slices of a batch pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import fx

from cnn_export.reparam.aliases import aliased_arguments, written_arguments
from cnn_export.reparam.operators import operator_name, overload, value_of

_Layout = tuple[int, tuple[tuple[int, int], ...]]
"""Offset in the memory, and (size, stride) of every dimension, in elements."""


def overlapping_source(writer: fx.Node, bases: dict[fx.Node, fx.Node]) -> fx.Node | None:
    """Return what ``writer`` reads from the memory it writes to, if that makes it undefined.

    ``bases`` maps the views of written memory to the node that made it. Reading the very element
    that is written, as in ``y.add_(y)``, is defined. Operators that write to places which they are
    told by an index are not looked at.
    """
    op = overload(writer)
    if op is None or not (operator_name(writer) == "copy_" or torch.Tag.pointwise in op.tags):
        return None
    target = written_arguments(writer)[0]
    for source in writer.all_input_nodes:
        regions = list(_shown(source, bases[target], bases)) if source is not target else []
        if any(not _is_harmless(source, region, target) for region in regions):
            return source
    return None


def _shown(source: fx.Node, base: fx.Node, bases: dict[fx.Node, fx.Node]) -> Iterator[fx.Node]:
    """Yield views of ``base`` that hold all elements of it that ``source`` may show.

    Where an operator may return a view or a copy (``reshape``), that is what it was given.
    """
    own = bases.get(source)
    if own is base:
        yield source
    elif own is not None:
        for each in aliased_arguments(own):
            yield from _shown(each, base, bases)


def _is_harmless(source: fx.Node, region: fx.Node, target: fx.Node) -> bool:
    """Whether no element is written that is read for another one."""
    read, written = (_layout(value_of(each)) for each in (region, target))
    if read is None or written is None:
        return False
    if read == written and source is region:
        return True
    return not bool(torch.isin(_elements(read), _elements(written)).any())


def _layout(value: torch.Tensor) -> _Layout | None:
    """Return where a fake tensor lies, symbolic sizes as traced; ``None`` where that is unknown."""
    sizes, strides = map(_number, value.shape), map(_number, value.stride())
    offset = _number(value.storage_offset())
    dims = [(n, stride) for n, stride in zip(sizes, strides, strict=True) if n != 1]
    known = [(n, stride) for n, stride in dims if n is not None and stride is not None]
    if offset is None or len(known) < len(dims):
        return None
    return offset, tuple(known)


def _number(size: int | torch.SymInt) -> int | None:
    """Return a size as it was traced. Never adds a guard on a symbolic one."""
    return size if isinstance(size, int) else size.node.hint


def _elements(layout: _Layout) -> torch.Tensor:
    """Return the positions of all elements in the memory."""
    offset, dims = layout
    positions = torch.tensor([offset])
    for size, stride in dims:
        positions = (positions[:, None] + torch.arange(size) * stride).flatten()
    return positions
