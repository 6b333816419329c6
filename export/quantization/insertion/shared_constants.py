"""Constants of a graph that are stored once, however many operators read them."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.surgery import insert_constant, insert_reader


class SharedConstants:
    """What has been stored under each hint so far.

    A layer that is called twice is two operators with one weight: the file must not hold its
    integers twice.
    """

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._graph_module = graph_module
        self._stored: dict[str, list[tuple[torch.Tensor, fx.Node]]] = {}

    def insert(self, hint: str, tensor: torch.Tensor, *, before: fx.Node) -> fx.Node:
        """Return a node at ``before`` that reads ``tensor``, which is stored at most once."""
        known = self._stored.setdefault(hint, [])
        for stored, reader in known:
            if stored.dtype == tensor.dtype and torch.equal(stored, tensor):
                return insert_reader(reader, before=before)
        # A weight that a converter takes for trainable would not be folded: buffers throughout.
        node = insert_constant(
            self._graph_module, hint, tensor, before=before, like=before, is_weight=False
        )
        known.append((tensor, node))
        return node
