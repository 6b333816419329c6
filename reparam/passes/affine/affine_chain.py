"""Consecutive operators that each map a channel by itself, read as one map."""

from __future__ import annotations

import dataclasses

from torch import fx

from cnn_export.reparam.graph.operators import has_tensor, operator_name, value_of
from cnn_export.reparam.passes.affine.batch_norm import Affine, compose
from cnn_export.reparam.passes.affine.channel_affine import (
    CHANNEL_DIM,
    ChannelAffine,
    read_channel_affine,
)


@dataclasses.dataclass(frozen=True)
class AffineChain:
    """``last = affine(input)`` along ``channel_dim``; nobody else reads what lies between.

    ``nodes`` run from the first to the last operator, by batches of one operator or more.
    ``channel_dim`` is 1, or the last where fully connected layers of several rows read the chain.
    """

    input: fx.Node
    nodes: tuple[fx.Node, ...]
    affine: Affine
    channel_dim: int = CHANNEL_DIM

    @property
    def last(self) -> fx.Node:
        """The node whose value is the result."""
        return self.nodes[-1]

    @property
    def normalizes(self) -> bool:
        """Whether a batch normalization is among the operators."""
        return any(operator_name(node) == "batch_norm" for node in self.nodes)


def read_chains(graph_module: fx.GraphModule, written: set[fx.Node]) -> list[AffineChain]:
    """Return every longest chain in the order of the graph; memory in ``written`` ends one."""
    chains: dict[fx.Node, AffineChain] = {}
    last = _along_the_last(graph_module)
    for node in graph_module.graph.nodes:
        if node in written:
            continue
        found = last.get(node) or read_channel_affine(graph_module, node)
        channel_dim = value_of(node).ndim - 1 if node in last else CHANNEL_DIM
        if found is None or found.input.op == "get_attr" or not written.isdisjoint(_reads(node)):
            continue
        before = chains.get(found.input)
        alike = before is not None and before.channel_dim == channel_dim
        if before is None or not alike or len(found.input.users) > 1:
            chains[node] = AffineChain(found.input, (node,), found.affine, channel_dim)
        else:
            del chains[found.input]
            chains[node] = _longer(before, found)
    return list(chains.values())


def _along_the_last(graph_module: fx.GraphModule) -> dict[fx.Node, ChannelAffine]:
    """Return the maps along the last of three or more dimensions that fully connected layers read.

    Other such maps may stand between.
    """
    found: dict[fx.Node, ChannelAffine] = {}
    for node in reversed(graph_module.graph.nodes):
        rows = has_tensor(node) and value_of(node).ndim > CHANNEL_DIM + 1
        if not rows or not node.users:
            continue
        if all(operator_name(user) == "linear" or user in found for user in node.users):
            affine = read_channel_affine(graph_module, node, value_of(node).ndim - 1)
            if affine is not None:
                found[node] = affine
    return found


def _longer(chain: AffineChain, found: ChannelAffine) -> AffineChain:
    affine = compose(found.affine, chain.affine)
    return AffineChain(chain.input, (*chain.nodes, found.node), affine, chain.channel_dim)


def _reads(node: fx.Node) -> list[fx.Node]:
    return node.all_input_nodes
