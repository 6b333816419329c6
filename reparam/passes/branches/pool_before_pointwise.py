"""Let an average pool come before a pointwise convolution."""

from __future__ import annotations

import math

from torch import fx

from cnn_export.reparam.cost import elements
from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.passes.branches.algebra.leaf import Leaf
from cnn_export.reparam.passes.branches.algebra.operators.average_pool import read_average_pool
from cnn_export.reparam.passes.branches.algebra.operators.convolution import read_convolution
from cnn_export.reparam.passes.branches.algebra.weighing import is_cheaper
from cnn_export.reparam.program_pass import Decision, Figures, PassResult, ProgramPass

_BYTES = 4


class PoolBeforePointwise(ProgramPass):
    """pool(W·x + b)  ⇒  W·pool(x) + b.

    An average over positions and a sum over channels commute; a bias survives where the average's
    weights sum to one, so not where windows count padding.

    *Given* a 1×1 convolution without stride or padding that only an average pool reads. *Result*
    the pool first, and the convolution on the smaller map: DenseNet's transitions need a quarter
    of their multiply-accumulates. Taken where neither figure rises.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Swap every pair that becomes cheaper."""
        rewrites: list[str] = []
        decisions: list[Decision] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            pair = _read(graph_module, node)
            if pair is None or node in written or pair[0].node in written:
                continue
            before, after = _figures(*pair)
            taken = is_cheaper(after, before)
            reason = "" if taken else "the pool would work on more channels than it saves"
            decisions.append(Decision(node.name, taken, before, after, reason))
            if taken:
                _swap(*pair)
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), decisions=tuple(decisions))


def _read(graph_module: fx.GraphModule, node: fx.Node) -> tuple[Leaf, Leaf] | None:
    """Return convolution and pool, where they commute."""
    pool = read_average_pool(graph_module, node) if node.op == "call_function" else None
    if not isinstance(pool, Leaf) or len(pool.input.users) > 1:
        return None
    convolution = read_convolution(graph_module, pool.input)
    if not isinstance(convolution, Leaf):
        return None
    if not all(axis.is_pointwise for axis in convolution.map.footprint.axes):
        return None
    averages = math.isclose(float(pool.map.weight[0].sum()), 1.0, rel_tol=1e-12)
    whole = not any(axis.reads_outside for axis in pool.map.footprint.axes)
    has_bias = bool(convolution.map.bias.any())
    return (convolution, pool) if (averages and whole) or not has_bias else None


def _figures(convolution: Leaf, pool: Leaf) -> tuple[Figures, Figures]:
    """Return the cost of convolution then pool, and of pool then convolution."""
    shape = convolution.map.footprint
    inputs, outputs = shape.channels_in, shape.channels_out
    large = elements(value_of(convolution.input).shape) // inputs
    small = elements(value_of(pool.node).shape) // outputs
    per_position = shape.weights
    window = math.prod(pool.map.footprint.kernel)

    def figures(positions: int, pooled_channels: int) -> Figures:
        macs = positions * per_position + small * pooled_channels * window
        traffic = (large + small) * pooled_channels + positions * (inputs + outputs)
        weights = per_position + outputs * bool(convolution.map.bias.any())
        return Figures(macs, _BYTES * (traffic + weights))

    return figures(large, outputs), figures(small, inputs)


def _swap(convolution: Leaf, pool: Leaf) -> None:
    first, second = pool.node, convolution.node
    graph = first.graph
    pooled = insert_call(
        graph,
        first.target,  # pyright: ignore[reportArgumentType]  # an ATen overload: it was read
        (convolution.input, *first.args[1:]),
        dict(first.kwargs),
        before=first,
        like=first,
    )
    mixed = insert_call(
        graph,
        second.target,  # pyright: ignore[reportArgumentType]  # as above
        (pooled, *second.args[1:]),
        dict(second.kwargs),
        before=first,
        like=second,
    )
    replace(first, mixed)
    graph.erase_node(second)
