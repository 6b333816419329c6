"""Recover hard-sigmoid and hard-swish from hand-written forms."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    readers,
    same_tensor_type,
    value_of,
)
from cnn_export.reparam.graph.scalars import scaled_input
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.passes.canonical.clipped_line import ClippedLine, clipped_lines
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_SIXTH, _HALF = 1.0 / 6.0, 0.5
_EXACT = 1e-12
"""``1/6`` may be spelled ``0.16666666666666666`` but not ``0.16667``: that is another function."""

_NEAR = 0.25
"""A clip this close to ``clip(x/6 + 1/2, 0, 1)`` is meant to be one: worth a refusal."""


@dataclasses.dataclass(frozen=True)
class _Match:
    """An expression equal to ``target(input)``; ``inner`` are its nodes but the last."""

    target: OpOverload
    input: fx.Node
    inner: tuple[fx.Node, ...]


class RecoverHardActivations(ProgramPass):
    """clip(x/6 + 1/2, 0, 1)  ⇒  hardsigmoid(x),   x·hardsigmoid(x)  ⇒  hardswish(x).

    *Given* sums and products with numbers and clips of either side, in any order and number, that
    come to this: ``relu6(x + 3)/6``, ``clamp((x + 3)/6, 0, 1)``, ``relu(x + 3).clamp(max=6)/6``;
    and products with ``x`` where the factor 1/6 may stand anywhere. Nobody else reads the values
    between. *Result* one operator, which every mobile runtime has a kernel for. Source: Howard et
    al., MobileNetV3 (arXiv 1905.02244), section 5.2.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such expression, innermost first."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            match = _match(graph_module, node)
            if match is None:
                continue
            reason = match if isinstance(match, str) else _obstacle(match, node, written)
            if reason:
                refusals.append(Refusal(node.name, reason))
            elif isinstance(match, _Match):
                _replace(node, match)
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _match(graph_module: fx.GraphModule, node: fx.Node) -> _Match | str | None:
    """Return what to put here, why a near miss is none, or ``None`` for anything else."""
    near: str | None = None
    for target, line in _candidates(graph_module, node):
        if _distance(line) <= _EXACT:
            return _Match(target, line.input, line.nodes[1:])
        if near is None and _distance(line) <= _NEAR:
            near = _near_miss(target, line)
    return near


def _candidates(
    graph_module: fx.GraphModule, node: fx.Node
) -> Iterator[tuple[OpOverload, ClippedLine]]:
    """Yield each clipped line that this node is, and each that it multiplies its input with."""
    for line in clipped_lines(graph_module, node):
        yield torch.ops.aten.hardsigmoid.default, line
    for factor, value, gate, nodes in _products(graph_module, node):
        for line in _gates(graph_module, gate):
            if line.input is value and factor > 0:
                scaled = line.times(factor)
                yield (
                    torch.ops.aten.hardswish.default,
                    dataclasses.replace(scaled, nodes=(*nodes, *line.nodes)),
                )


def _gates(graph_module: fx.GraphModule, gate: fx.Node) -> Iterator[ClippedLine]:
    if operator_name(gate) == "hardsigmoid":
        yield ClippedLine(arguments(gate)["self"], _SIXTH, _HALF, 0.0, 1.0, (gate,))
    yield from clipped_lines(graph_module, gate)


def _products(
    graph_module: fx.GraphModule, node: fx.Node
) -> Iterator[tuple[float, fx.Node, fx.Node, tuple[fx.Node, ...]]]:
    """Read ``node`` as ``factor·value·gate`` in every way, with its nodes but value and gate."""
    scaled = scaled_input(graph_module, node)
    factor, product = (scaled[1], scaled[0]) if scaled else (1.0, node)
    outer = (node,) if product is node else (node, product)
    for value, gate in _factors(product):
        yield factor, value, gate, outer
        inner = scaled_input(graph_module, value)
        if inner is not None:
            yield factor * inner[1], inner[0], gate, (*outer, value)


def _factors(node: fx.Node) -> tuple[tuple[fx.Node, fx.Node], ...]:
    """Return both orders of a product of two tensors."""
    if operator_name(node) != "mul":
        return ()
    left, right = arguments(node)["self"], arguments(node)["other"]
    both = has_tensor(left) and has_tensor(right)
    return ((left, right), (right, left)) if both else ()


def _distance(line: ClippedLine) -> float:
    """Return how far a line is from ``clip(x/6 + 1/2, 0, 1)``; infinite without both bounds."""
    if not math.isfinite(line.low) or not math.isfinite(line.high):
        return math.inf
    return max(
        abs(line.slope - _SIXTH) / _SIXTH,
        abs(line.offset - _HALF),
        abs(line.low),
        abs(line.high - 1),
    )


def _near_miss(target: OpOverload, line: ClippedLine) -> str:
    swish = target is torch.ops.aten.hardswish.default
    name, value = ("hard swish", "x·") if swish else ("hard sigmoid", "")
    return (
        f"{value}clip({line.slope:.9g}·x + {line.offset:.9g}, {line.low:.9g}, {line.high:.9g}) "
        f"is no {name} (1/6, 1/2, 0 and 1 are)"
    )


def _obstacle(match: _Match, node: fx.Node, written: set[fx.Node]) -> str | None:
    changed = [each for each in (match.input, *match.inner) if each in written]
    if changed:
        return f"{changed[0].name} is written to in place"
    shared = [each for each in match.inner if len(each.users) > 1]
    if shared:
        return f"{shared[0].name} is also read: {readers(shared[0])}"
    if not same_tensor_type(value_of(match.input), value_of(node)):
        return f"{node.name} changes the shape or dtype of {match.input.name}"
    return None


def _replace(node: fx.Node, match: _Match) -> None:
    new = insert_call(node.graph, match.target, (match.input,), before=node, like=node)
    replace(node, new)
    for each in match.inner:
        if not each.users:
            node.graph.erase_node(each)
