"""Regions of linear operators between one source and one sum, found on the graph."""

from __future__ import annotations

import dataclasses

from torch import fx

from cnn_export.reparam.passes.branches.algebra.leaf import Leaf, NotLinear
from cnn_export.reparam.passes.branches.algebra.reading import read_leaf, read_sum

MAX_DEPTH = 32
"""Sources tried above one node: keeps a net of linear layers only from costing quadratic time."""

MAX_CONE = 512
"""Operators of one region; no block of a published network has a quarter of that."""

Term = tuple[fx.Node, float]
"""A summand and its factor."""


@dataclasses.dataclass(frozen=True)
class Region:
    """``node = Σ factor · term(source)``: all that is computed between ``source`` and ``node``.

    ``terms`` are summands of ``node`` (one with factor 1 for a chain); ``rest`` the summands that
    do not come from ``source``; ``interior`` every operator above ``source`` that the terms are
    made of, in graph order; ``sums`` the additions that join all summands, ``node`` included.
    """

    node: fx.Node
    source: fx.Node
    terms: tuple[Term, ...]
    rest: tuple[Term, ...]
    interior: tuple[fx.Node, ...]
    sums: tuple[fx.Node, ...]


class LinearGraph:
    """Linear operators of a graph and the nodes that everything a value depends on passes."""

    def __init__(self, graph_module: fx.GraphModule, written: set[fx.Node]) -> None:
        self._graph_module = graph_module
        self._written = written
        self._leaves: dict[fx.Node, Leaf | NotLinear | None] = {}
        self._order = {node: place for place, node in enumerate(graph_module.graph.nodes)}
        self._dominators: dict[fx.Node, fx.Node | None] = {}
        for node in graph_module.graph.nodes:
            self._dominators[node] = self._dominator(node)

    def leaf(self, node: fx.Node) -> Leaf | NotLinear | None:
        """Return the node read as one linear operator."""
        if node not in self._leaves:
            touched = self._written and any(n in self._written for n in (node, *node.args))
            self._leaves[node] = None if touched else read_leaf(self._graph_module, node)
        return self._leaves[node]

    def operands(self, node: fx.Node) -> tuple[Term, Term] | None:
        """Return the node read as a sum of two values."""
        return None if node in self._written else read_sum(node)

    def position(self, node: fx.Node) -> int:
        """Return the node's place in the graph as it was read."""
        return self._order[node]

    def sources(self, node: fx.Node) -> list[fx.Node]:
        """Return the values that the node is a linear function of, nearest first."""
        return self._chain(node)[1:]

    def regions(self, node: fx.Node) -> list[Region]:
        """Return every region that ends at the node, nearest source first."""
        terms, sums = self._terms(node)
        found = [
            self._region(node, source, ((node, 1.0),), (), ()) for source in self.sources(node)
        ]
        groups = [] if found else self._groups(terms)
        for source, members in groups:
            rest = tuple(term for term in terms if term not in members)
            found.append(self._region(node, source, tuple(members), rest, tuple(sums)))
        return [region for region in found if region is not None]

    def _dominator(self, node: fx.Node) -> fx.Node | None:
        leaf = self.leaf(node)
        if isinstance(leaf, Leaf):
            return leaf.input
        operands = self.operands(node)
        if operands is None:
            return None
        (left, _), (right, _) = operands
        return self._meeting(left, right)

    def _meeting(self, left: fx.Node, right: fx.Node) -> fx.Node | None:
        above = set(self._chain(left))
        return next((node for node in self._chain(right) if node in above), None)

    def _chain(self, node: fx.Node) -> list[fx.Node]:
        chain = [node]
        while len(chain) < MAX_DEPTH and (above := self._dominators.get(chain[-1])) is not None:
            chain.append(above)
        return chain

    def _terms(self, node: fx.Node) -> tuple[list[Term], list[fx.Node]]:
        """Flatten nested additions that nobody else reads into summands and the additions."""
        terms: list[Term] = []
        sums: list[fx.Node] = []
        pending: list[Term] = [(node, 1.0)]
        while pending:
            each, factor = pending.pop()
            operands = self.operands(each)
            inner = each is node or (len(each.users) == 1 and self._dominators[each] is None)
            if operands is None or not inner or len(sums) >= MAX_DEPTH:
                terms.append((each, factor))
                continue
            sums.append(each)
            # The right operand is taken last, so that summands keep the order they were added in.
            pending += [(operand, factor * own) for operand, own in reversed(operands)]
        return terms, sums

    def _groups(self, terms: list[Term]) -> list[tuple[fx.Node, list[Term]]]:
        """Return summands that have a common source, largest groups first."""
        by_root: dict[fx.Node, list[Term]] = {}
        for term in terms:
            by_root.setdefault(self._chain(term[0])[-1], []).append(term)
        groups: list[tuple[fx.Node, list[Term]]] = []
        for members in by_root.values():
            source: fx.Node | None = members[0][0]
            for member, _ in members[1:]:
                source = None if source is None else self._meeting(source, member)
            if len(members) > 1 and source is not None:
                groups.append((source, members))
        return sorted(groups, key=lambda group: -len(group[1]))

    def _region(
        self,
        node: fx.Node,
        source: fx.Node,
        terms: tuple[Term, ...],
        rest: tuple[Term, ...],
        sums: tuple[fx.Node, ...],
    ) -> Region | None:
        interior: set[fx.Node] = set()
        pending = [term for term, _ in terms]
        while pending:
            each = pending.pop()
            if each is source or each in interior:
                continue
            interior.add(each)
            if len(interior) > MAX_CONE:
                return None
            leaf = self.leaf(each)
            if isinstance(leaf, Leaf):
                pending.append(leaf.input)
            else:
                pending += [operand for operand, _ in self.operands(each) or ()]
        ordered = tuple(sorted(interior, key=self._order.__getitem__))
        return Region(node, source, terms, rest, ordered, sums)
