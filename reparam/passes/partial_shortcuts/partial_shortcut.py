"""A sum that covers some channels only: the shortcut of MobileNeXt's identity tensor multiplier.

Zhou et al., "Rethinking Bottleneck Structure for Efficient Mobile Network Design"
(arXiv 2007.02269), section 3.2: only the first ``αC`` of ``C`` channels take the shortcut.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.channel_ranges import (
    ChannelRange,
    channels,
    concatenated,
    insert_cat,
    insert_slice,
    read_channel_slice,
    read_range,
)
from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    overload,
    same_tensor_type,
    value_of,
)
from cnn_export.reparam.graph.surgery import insert_call

_aten = torch.ops.aten


@dataclasses.dataclass(frozen=True)
class Addend:
    """``values`` are added to the base's channels from ``start``."""

    start: int
    values: ChannelRange

    @property
    def stop(self) -> int:
        """First channel of the base after the covered ones."""
        return self.start + self.values.size


@dataclasses.dataclass(frozen=True)
class PartialShortcut:
    """``base`` plus the addends on their channels; these are in order and do not overlap."""

    base: fx.Node
    addends: tuple[Addend, ...]


def plain_sum(node: Any) -> tuple[fx.Node, fx.Node] | None:
    """Return both operands of ``a + b`` on tensors of the result's very type, else ``None``."""
    if not isinstance(node, fx.Node) or overload(node) is not _aten.add.Tensor:
        return None
    bound = arguments(node)
    left, right = bound["self"], bound["other"]
    if bound["alpha"] != 1 or not has_tensor(left) or not has_tensor(right):
        return None
    alike = all(same_tensor_type(value_of(each), value_of(node)) for each in (left, right))
    return (left, right) if alike else None


def read_partial_shortcut(node: fx.Node) -> PartialShortcut | None:
    """Read ``cat([y[:, :k] + x[:, :k], y[:, k:]], 1)``, for any ranges and order of operands."""
    operands = concatenated(node)
    if operands is None:
        return None
    operands = [operand for operand in operands if channels(operand)]
    for base in _candidates(operands):
        if same_tensor_type(value_of(base), value_of(node)):
            addends = _addends_on(base, operands)
            if addends:
                return PartialShortcut(base, merged(addends))
    return None


def addend_in_place(base: fx.Node, operand: fx.Node, start: int) -> Addend | None:
    """Read ``operand`` as ``base[:, start:…] + values``; ``None`` if it is anything else."""
    both = plain_sum(operand)
    if both is None:
        return None
    ranges = [read_range(each) for each in both]
    for own, other in (ranges, ranges[::-1]):
        if own is not None and other is not None and (own.source, own.start) == (base, start):
            return Addend(start, other)
    return None


def merged(addends: list[Addend]) -> tuple[Addend, ...]:
    """Join neighbours that go on where the one before stops, in the base and in the source."""
    joined: list[Addend] = []
    for each in addends:
        last = joined[-1] if joined else None
        if last is None or not _continues(last, each):
            joined.append(each)
            continue
        values = dataclasses.replace(last.values, stop=each.values.stop)
        joined[-1] = Addend(last.start, values)
    return tuple(joined)


def insert_partial_shortcut(wanted: PartialShortcut, *, before: fx.Node, like: fx.Node) -> fx.Node:
    """Write the canonical form: a concatenation of ``slice(y) + slice(x)`` and ``slice(y)``.

    One addend that covers every channel gives ``y + x``; no addend gives ``y``.
    """
    parts: list[fx.Node] = []
    for own, values in _layout(wanted):
        part = insert_slice(own, before=before, like=like)
        if values is not None:
            other = insert_slice(values, before=before, like=like)
            part = insert_call(
                before.graph, _aten.add.Tensor, (part, other), before=before, like=like
            )
        parts.append(part)
    return insert_cat(parts, before=before, like=like)


def is_canonical(node: fx.Node, read: PartialShortcut) -> bool:
    """Whether the node already spells ``read`` as :func:`insert_partial_shortcut` would."""
    pairs = _compared(node, read)
    return pairs is not None and all(_spells(*each) for each in pairs)


def put_base_first(node: fx.Node, read: PartialShortcut) -> bool:
    """Turn every ``slice(x) + slice(y)`` of the concatenation around; return whether there was one.

    In place: the sum may have other readers, and written anew it would be computed twice.
    """
    turned = False
    for operand, (own, values) in _compared(node, read) or ():
        both = plain_sum(operand)
        if both is None or values is None or _is_one_slice(both[0], own):
            continue
        if _is_one_slice(both[1], own) and _is_one_slice(both[0], values):
            operand.args, operand.kwargs = both[::-1], {}
            turned = True
    return turned


def _compared(
    node: fx.Node, read: PartialShortcut
) -> list[tuple[fx.Node, tuple[ChannelRange, ChannelRange | None]]] | None:
    """Pair the operands with what they should hold; ``None`` if there are more or fewer."""
    layout = _layout(read)
    operands = concatenated(node)
    if operands is None or len(operands) != len(layout):
        return None
    return list(zip(operands, layout, strict=True))


def _layout(wanted: PartialShortcut) -> list[tuple[ChannelRange, ChannelRange | None]]:
    """Return, in order, the base's ranges, each with what is added to it."""
    end = channels(wanted.base)
    ranges: list[tuple[ChannelRange, ChannelRange | None]] = []
    position = 0
    for each in wanted.addends:
        ranges.append((ChannelRange(wanted.base, position, each.start), None))
        ranges.append((ChannelRange(wanted.base, each.start, each.stop), each.values))
        position = each.stop
    if end is not None:
        ranges.append((ChannelRange(wanted.base, position, end), None))
    return [each for each in ranges if each[0].size]


def _spells(operand: fx.Node, wanted: tuple[ChannelRange, ChannelRange | None]) -> bool:
    own, values = wanted
    if values is None:
        return _is_one_slice(operand, own)
    both = plain_sum(operand)
    return both is not None and _is_one_slice(both[0], own) and _is_one_slice(both[1], values)


def _is_one_slice(node: fx.Node, wanted: ChannelRange) -> bool:
    if wanted.is_whole:
        return node is wanted.source
    return overload(node) is _aten.slice.Tensor and read_channel_slice(node) == wanted


def _candidates(operands: list[fx.Node]) -> list[fx.Node]:
    """Return the sources that may be the base: of a plain operand, else of the first sum."""
    found: list[ChannelRange | None] = []
    for operand in operands:
        both = plain_sum(operand)
        if both is None:
            return _sources([read_range(operand)])
        found = found or [read_range(each) for each in both]
    return _sources(found)


def _sources(ranges: list[ChannelRange | None]) -> list[fx.Node]:
    return [each.source for each in ranges if each is not None]


def _addends_on(base: fx.Node, operands: list[fx.Node]) -> list[Addend] | None:
    """Return the addends if every operand is the base's next range, plain or with an addend."""
    addends: list[Addend] = []
    position = 0
    for operand in operands:
        addend = addend_in_place(base, operand, position)
        own = read_range(operand)
        if addend is not None:
            addends.append(addend)
        elif own is None or (own.source, own.start) != (base, position):
            return None
        position += channels(operand) or 0
    return addends


def _continues(last: Addend, following: Addend) -> bool:
    return (
        last.stop == following.start
        and last.values.source is following.values.source
        and last.values.stop == following.values.start
    )
