"""Who reads a carried tensor, and who of them needs it in one piece."""

from __future__ import annotations

from collections.abc import Mapping

from torch import fx

from cnn_export.reparam.passes.partial_shortcuts.channel_split.channelwise import Dense
from cnn_export.reparam.passes.partial_shortcuts.channel_split.regions import Kind, joined_sources


def takes_parts(user: fx.Node, node: fx.Node, kinds: Mapping[fx.Node, Kind]) -> bool:
    """Whether ``user`` can read ``node`` in parts."""
    kind = kinds.get(user)
    if isinstance(kind, Dense):
        return kind.input is node
    return any(source is node for source in joined_sources(kind))


def needs_whole(node: fx.Node, kinds: Mapping[fx.Node, Kind]) -> list[fx.Node]:
    """Return the users that cannot read the node in parts."""
    return [user for user in node.users if not takes_parts(user, node, kinds)]


def dense_readers(node: fx.Node, kinds: Mapping[fx.Node, Kind]) -> list[fx.Node]:
    """Return the dense convolutions over the node."""
    return [user for user in node.users if _is_dense_over(kinds.get(user), node)]


def _is_dense_over(kind: Kind | None, node: fx.Node) -> bool:
    return isinstance(kind, Dense) and kind.input is node
