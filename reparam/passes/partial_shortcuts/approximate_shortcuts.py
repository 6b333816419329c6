"""The identity tensor multiplier: let shortcuts carry only a part of their channels.

Zhou et al., "Rethinking Bottleneck Structure for Efficient Mobile Network Design"
(arXiv 2007.02269), section 3.2. This changes what a network computes: it is what the paper trains
with, not a rewrite into an equal graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction

from torch import fx

from cnn_export.reparam.graph.attributes import drop_unused_attributes
from cnn_export.reparam.graph.channel_ranges import ChannelRange, channels
from cnn_export.reparam.graph.errors import ReparameterizationError
from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.passes.canonical.canonical_operators import CanonicalOperators
from cnn_export.reparam.passes.canonical.remove_no_ops import RemoveNoOps
from cnn_export.reparam.passes.functionalize.functionalize_inplace import FunctionalizeInplace
from cnn_export.reparam.passes.partial_shortcuts.canonical_partial_shortcuts import (
    CanonicalPartialShortcuts,
)
from cnn_export.reparam.passes.partial_shortcuts.inner_sums import detach_inner_sums
from cnn_export.reparam.passes.partial_shortcuts.partial_shortcut import (
    Addend,
    PartialShortcut,
    insert_partial_shortcut,
    plain_sum,
    read_partial_shortcut,
)
from cnn_export.reparam.passes.slices.scatter_to_concat import ScatterToConcat
from cnn_export.reparam.passes.slices.simplify_slices import SimplifySlices
from cnn_export.reparam.passes.slices.split_to_slices import SplitToSlices

_IMAGE_RANK = 4
_NORMAL_FORM = (
    CanonicalOperators(),
    SplitToSlices(),
    FunctionalizeInplace(),
    RemoveNoOps(),
    ScatterToConcat(),
    SimplifySlices(),
    CanonicalPartialShortcuts(),
)
"""What makes a shortcut's sum, however written, readable."""


@dataclasses.dataclass(frozen=True)
class _Shortcut:
    """``node = branch + identity[:, :size]`` on the first channels."""

    node: fx.Node
    branch: fx.Node
    identity: fx.Node
    size: int


def shorten_shortcuts(graph_module: fx.GraphModule, multiplier: Fraction) -> tuple[str, ...]:
    """Give every identity shortcut of images the first ``C // round(1 / multiplier)`` channels.

    ``add(f(x), x)`` becomes ``cat([f(x)[:, :k] + x[:, :k], f(x)[:, k:]], 1)``, with ``k = C`` plain
    ``f(x) + x``. A shortcut that is partial already gets the new ``k``, larger or smaller. The
    graph is edited in place, and brought into normal form first.

    Args:
        graph_module: a captured graph of ATen operators.
        multiplier: the paper's α: 1, 1/2, 1/3, 1/6 or any other ``1/n``.

    Returns:
        The names of the sums that were changed, in order.

    Raises:
        ReparameterizationError: ``multiplier`` is no ``1/n``, a shortcut would keep no channel, or
            a partial one keeps too few of its input to be made larger; the graph is not to be used
            any more.
    """
    divisor = _divisor(multiplier)

    def kept(shortcut: _Shortcut) -> int:
        size = channels(shortcut.branch) or 0
        if size < divisor:
            raise ReparameterizationError(
                f"the identity tensor multiplier {multiplier} keeps none of {size} channels at"
                f" {shortcut.node.name}; give a larger one"
            )
        return size // divisor

    return _resize(graph_module, kept)


def drop_shortcuts(graph_module: fx.GraphModule) -> tuple[str, ...]:
    """Make every ``f(x) + x`` of images ``f(x)``: what a shortcut's cost is measured against.

    The graph is edited in place, and brought into normal form first; returns the sums' names.
    """
    return _resize(graph_module, lambda _: 0)


def _resize(graph_module: fx.GraphModule, kept: Callable[[_Shortcut], int]) -> tuple[str, ...]:
    for each in _NORMAL_FORM:
        each(graph_module)
    inner = _detach_all_inner_sums(graph_module.graph)
    positions = {node: position for position, node in enumerate(graph_module.graph.nodes)}
    changed: list[str] = []
    for node in list(positions):
        shortcut = None if node in inner else _read_shortcut(node, positions)
        if shortcut is None:
            continue
        size = kept(shortcut)
        if size != shortcut.size:
            positions[_insert_resized(shortcut, size)] = positions[node]
            changed.append(node.name)
    _clean(graph_module)
    return tuple(changed)


def _divisor(multiplier: Fraction) -> int:
    if multiplier <= 0 or round(1 / multiplier) * multiplier != 1:
        raise ReparameterizationError(
            f"the identity tensor multiplier {multiplier} is no 1/n; give 1, 1/2, 1/3 or 1/6"
        )
    return round(1 / multiplier)


def _detach_all_inner_sums(graph: fx.Graph) -> set[fx.Node]:
    """Return the sums that are a part of a partial one: on their own they look like full ones.

    Who else reads such a sum reads a slice of the whole afterwards: the sum itself may go.
    """
    found: set[fx.Node] = set()
    for node in list(graph.nodes):
        if read_partial_shortcut(node) is not None:
            found.update(detach_inner_sums(node))
    return found


def _read_shortcut(node: fx.Node, positions: dict[fx.Node, int]) -> _Shortcut | None:
    both = plain_sum(node)
    if both is not None:
        return _full_shortcut(node, both, positions)
    partial = read_partial_shortcut(node)
    if partial is None or len(partial.addends) != 1:
        return None
    addend = partial.addends[0]
    if addend.start != 0 or addend.values.start != 0:
        return None
    identity = addend.values.source
    if not _is_ancestor(identity, partial.base, positions):
        return None
    return _Shortcut(node, partial.base, identity, addend.stop)


def _full_shortcut(
    node: fx.Node, both: tuple[fx.Node, fx.Node], positions: dict[fx.Node, int]
) -> _Shortcut | None:
    size = channels(node)
    # In a tensor of another rank dimension 1 may be tokens or time.
    if size is None or value_of(node).ndim != _IMAGE_RANK:
        return None
    for branch, identity in (both, both[::-1]):
        if _is_ancestor(identity, branch, positions):
            return _Shortcut(node, branch, identity, size)
    return None


def _is_ancestor(wanted: fx.Node, node: fx.Node, positions: dict[fx.Node, int]) -> bool:
    """Whether ``node`` is computed from ``wanted``; looks at nodes between the two only."""
    if wanted is node or wanted.op == "get_attr":
        return False
    first, seen, waiting = positions[wanted], {node}, [node]
    while waiting:
        for source in waiting.pop().all_input_nodes:
            if source is wanted:
                return True
            if source not in seen and positions.get(source, first + 1) > first:
                seen.add(source)
                waiting.append(source)
    return False


def _insert_resized(shortcut: _Shortcut, size: int) -> fx.Node:
    available = channels(shortcut.identity) or 0
    if size > available:
        raise ReparameterizationError(
            f"the shortcut at {shortcut.node.name} has {available} channels and cannot take {size};"
            " give a smaller identity tensor multiplier"
        )
    addends = (Addend(0, ChannelRange(shortcut.identity, 0, size)),) if size else ()
    wanted = PartialShortcut(shortcut.branch, addends)
    new = insert_partial_shortcut(wanted, before=shortcut.node, like=shortcut.node)
    replace(shortcut.node, new)
    return new


def _clean(graph_module: fx.GraphModule) -> None:
    graph_module.graph.eliminate_dead_code()
    drop_unused_attributes(graph_module)
    graph_module.graph.lint()
    graph_module.recompile()
