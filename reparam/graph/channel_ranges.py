"""Ranges of channels (dimension 1): read and write slices and concatenations."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import fx

from cnn_export.reparam.graph.operators import arguments, has_tensor, operator_name, value_of
from cnn_export.reparam.graph.splice import insert_concatenation, insert_piece, read_slice

CHANNEL_DIM = 1


@dataclasses.dataclass(frozen=True)
class ChannelRange:
    """Channels ``start`` (included) to ``stop`` (excluded) of ``source``."""

    source: fx.Node
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of channels."""
        return self.stop - self.start

    @property
    def is_whole(self) -> bool:
        """Whether it is all of ``source``."""
        return self.size == channels(self.source)


def channels(node: Any) -> int | None:
    """Return the size of dimension 1, or ``None`` if there is none or it is symbolic."""
    if not has_tensor(node):
        return None
    shape = value_of(node).shape
    size = shape[CHANNEL_DIM] if len(shape) > CHANNEL_DIM else None
    return size if isinstance(size, int) else None


def read_channel_slice(node: fx.Node) -> ChannelRange | None:
    """Read a ``slice`` along the channels, which ``SplitToSlices`` makes of splits as well.

    ``None`` for everything else, and for a slice with a step.
    """
    found = read_slice(node)
    if found is None or found.dim != CHANNEL_DIM:
        return None
    return ChannelRange(found.source, found.start, found.end)


def read_range(node: fx.Node) -> ChannelRange | None:
    """Return where a tensor's channels come from: a slice's range, or else all of itself.

    ``None`` where the number of channels is not known.
    """
    size = channels(node)
    return None if size is None else read_channel_slice(node) or ChannelRange(node, 0, size)


def concatenated(node: fx.Node) -> list[fx.Node] | None:
    """Return the operands of a concatenation of channels of known size, else ``None``."""
    if operator_name(node) != "cat" or channels(node) is None:
        return None
    bound = arguments(node)
    operands: list[Any] = list(bound["tensors"])
    known = all(channels(operand) is not None for operand in operands)
    return operands if known and _along_channels(node, bound["dim"]) else None


def insert_slice(wanted: ChannelRange, *, before: fx.Node, like: fx.Node) -> fx.Node:
    """Return a node that holds the range: a new slice, or the source where it is whole."""
    return insert_piece(
        wanted.source, CHANNEL_DIM, wanted.start, wanted.stop, before=before, like=like
    )


def insert_cat(parts: Sequence[fx.Node], *, before: fx.Node, like: fx.Node) -> fx.Node:
    """Return a node that holds all channels of ``parts`` in order; a single part is itself."""
    return insert_concatenation(list(parts), CHANNEL_DIM, before=before, like=like)


def _along_channels(node: fx.Node, dim: int) -> bool:
    rank = value_of(node).ndim
    return rank > CHANNEL_DIM and dim % rank == CHANNEL_DIM
