"""Consecutive operators that each map a channel by itself, read as one map."""

from __future__ import annotations

import dataclasses

from torch import fx

from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.passes.affine.batch_norm import Affine, compose
from cnn_export.reparam.passes.affine.channel_affine import ChannelAffine, read_channel_affine


@dataclasses.dataclass(frozen=True)
class AffineChain:
    """``last = affine(input)`` along dimension 1; nobody else reads what lies between.

    ``nodes`` run from the first to the last operator, by batches of one operator or more.
    """

    input: fx.Node
    nodes: tuple[fx.Node, ...]
    affine: Affine

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
    for node in graph_module.graph.nodes:
        if node in written:
            continue
        found = read_channel_affine(graph_module, node)
        if found is None or found.input.op == "get_attr" or not written.isdisjoint(_reads(node)):
            continue
        before = chains.get(found.input)
        if before is None or len(found.input.users) > 1:
            chains[node] = AffineChain(found.input, (node,), found.affine)
        else:
            del chains[found.input]
            chains[node] = _longer(before, found)
    return list(chains.values())


def _longer(chain: AffineChain, found: ChannelAffine) -> AffineChain:
    affine = compose(found.affine, chain.affine)
    return AffineChain(chain.input, (*chain.nodes, found.node), affine)


def _reads(node: fx.Node) -> list[fx.Node]:
    return node.all_input_nodes
