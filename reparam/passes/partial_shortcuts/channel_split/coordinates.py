"""One scale of channels for all tensors that slices, concatenations and channelwise operators join.

``slice(y, a, b)`` begins ``a`` channels after ``y``; an operand of a concatenation where the ones
before it end; operands and result of a channelwise operator begin together.
"""

from __future__ import annotations

from torch import fx


class Coordinates:
    """Union-find over nodes that knows how far apart the first channels of two tensors are."""

    def __init__(self) -> None:
        self._parent: dict[fx.Node, fx.Node] = {}
        self._offset: dict[fx.Node, int] = {}

    def locate(self, node: fx.Node) -> tuple[fx.Node, int]:
        """Return the representative of the node's set, and the node's first channel from its."""
        path: list[fx.Node] = []
        while self._parent.setdefault(node, node) is not node:
            path.append(node)
            node = self._parent[node]
        total = 0
        for each in reversed(path):
            total += self._offset[each]
            self._parent[each], self._offset[each] = node, total
        return node, total

    def join(self, anchor: fx.Node, node: fx.Node, distance: int) -> None:
        """Let ``node`` begin ``distance`` channels after ``anchor``.

        Two tensors that already lie otherwise on one scale stay where they are.
        """
        root, start = self.locate(anchor)
        other, inner = self.locate(node)
        if root is not other:
            self._parent[other] = root
            self._offset[other] = start + distance - inner
