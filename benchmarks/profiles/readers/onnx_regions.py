"""Which nodes of an ONNX file each node of ONNX Runtime's optimized graph computes.

Optimization renames and fuses nodes but keeps the names of most values. A node of the optimized
graph computes what stands, in the file, between the values it reads and the value it gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

_LAYOUT_CHANGES = ("ReorderInput", "ReorderOutput")
"""Of ONNX Runtime's blocked layout: not in any file."""
_SUMS = ("Add", "Sum")
_INPUTS_WITH_SUM = 4
"""A convolution reads a value, weights, a bias, and, if it was fused with a sum, the other term."""


@dataclasses.dataclass(frozen=True)
class Region:
    """An optimized node (``name`` may be empty) and the file's nodes that it computes."""

    name: str
    kind: str
    covers: tuple[str, ...]


def regions(optimized: Any, original: Any, names: Mapping[int, str]) -> list[Region]:
    """Return a region per node of the optimized graph, in its order.

    ``optimized`` and ``original`` are ``onnx.ModelProto``; ``names`` gives the name of the file's
    ``i``-th node. A node of the file belongs to the first optimized node that needs it.
    """
    producers = {
        output: index for index, node in enumerate(original.graph.node) for output in node.output
    }
    stand_ins = _stand_ins(optimized, original, producers)
    taken: set[int] = set()
    found: list[Region] = []
    for node in optimized.graph.node:
        inside: set[int] = set()
        if node.op_type not in _LAYOUT_CHANGES:
            inside = _between(original, producers, node, stand_ins) - taken
        taken |= inside
        covers = tuple(names[index] for index in sorted(inside) if index in names)
        found.append(Region(node.name, node.op_type, covers))
    return found


def _stand_ins(optimized: Any, original: Any, producers: Mapping[str, int]) -> dict[str, str]:
    """Return the file's value that each value of the optimized graph stands for.

    A new value that a change of layout turns into a known one (or from one) is that one in
    another layout; a convolution in the blocked layout is named after its result, before a sum
    and an activation were fused into it.
    """
    known: dict[str, str] = {}
    for node in optimized.graph.node:
        if node.op_type == "ReorderOutput" and node.output[0] in producers:
            known[node.input[0]] = node.output[0]
        if node.op_type == "ReorderInput":
            known[node.output[0]] = node.input[0]
    consumers = _consumers(original)
    for node in optimized.graph.node:
        result = node.name.removesuffix("_nchwc")
        if node.output[0] not in producers and result in producers:
            known.setdefault(node.output[0], _after_fusion(node, result, consumers))
    return known


def _consumers(original: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for node in original.graph.node:
        for value in node.input:
            found.setdefault(value, []).append(node)
    return found


def _after_fusion(node: Any, value: str, consumers: Mapping[str, list[Any]]) -> str:
    """Follow ``value`` through the sum and the activation that ``node`` computes as well."""
    activations = [each.s.decode() for each in node.attribute if each.name == "activation"]
    fused = [*(_SUMS if len(node.input) == _INPUTS_WITH_SUM else ()), *activations]
    while len(reading := consumers.get(value, [])) == 1 and reading[0].op_type in fused:
        value = reading[0].output[0]
    return value


def _between(
    original: Any, producers: Mapping[str, int], node: Any, stand_ins: Mapping[str, str]
) -> set[int]:
    border = set(_originals(node.input, stand_ins))
    pending = [value for value in _originals(node.output, stand_ins) if value not in border]
    inside: set[int] = set()
    while pending:
        index = producers.get(pending.pop())
        if index is None or index in inside:
            continue
        inside.add(index)
        pending.extend(value for value in original.graph.node[index].input if value not in border)
    return inside


def _originals(values: Iterable[str], stand_ins: Mapping[str, str]) -> list[str]:
    return [stand_ins.get(value, value) for value in values if value]
