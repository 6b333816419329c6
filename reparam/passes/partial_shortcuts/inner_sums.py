"""The sums that a partial shortcut consists of, which other operators may read too."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.channel_ranges import (
    ChannelRange,
    channels,
    concatenated,
    insert_slice,
)
from cnn_export.reparam.passes.partial_shortcuts.partial_shortcut import plain_sum


def detach_inner_sums(node: fx.Node) -> list[fx.Node]:
    """Return the sums among a concatenation's operands; later readers read a part of the whole.

    The sums themselves may then go once the whole is computed in another way.
    """
    found: list[fx.Node] = []
    start = 0
    for operand in concatenated(node) or ():
        part = ChannelRange(node, start, start + (channels(operand) or 0))
        if plain_sum(operand) is not None:
            found.append(operand)
            _redirect_readers(operand, part)
        start = part.stop
    return found


def _redirect_readers(operand: fx.Node, part: ChannelRange) -> None:
    """Let users of ``operand`` read ``part`` of the concatenation it is an operand of."""
    users = [user for user in operand.users if user is not part.source and part.source < user]
    if users:
        first = min(users)
        whole = insert_slice(part, before=first, like=part.source)
        for user in users:
            user.replace_input_with(operand, whole)
