"""What shape inference may be let loose on: small files can make it take any time and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cnn_export.errors import InputRefused

_CALLED_NODES_MAX = 100_000
_Names = tuple[str, str]
_PROPAGATED_MAX = 4096
"""No shape arithmetic has integer vectors of more elements."""


def require_bounded_functions(model: Any) -> None:
    """Refuse model-local functions that call themselves, or multiply without end.

    Inference walks a function's body at every call: thirty that call the next one twice are a
    thousand million nodes.

    Raises:
        InputRefused: as said.
    """
    bodies = {(f.domain, f.name): [*_nodes(f.node)] for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    for name in bodies:
        _measure(name, bodies, sizes)
    if (
        sum(sizes.get((n.domain, n.op_type), 1) for n in _nodes(model.graph.node))
        > _CALLED_NODES_MAX
    ):
        raise InputRefused(
            f"its functions stand for more than {_CALLED_NODES_MAX} operators; inline them"
        )


def _measure(start: _Names, bodies: Mapping[_Names, list[Any]], sizes: dict[_Names, int]) -> None:
    """Add to ``sizes`` how many nodes ``start`` and what it calls stand for; without recursion."""
    pending = [(start, False)]
    opened: set[_Names] = set()
    while pending:
        name, ready = pending.pop()
        calls = [(n.domain, n.op_type) for n in bodies[name]]
        if ready:
            sizes[name] = 1 + sum(sizes.get(call, 1) for call in calls)
            opened.discard(name)
        elif name not in sizes:
            if name in opened:
                raise InputRefused(f"its function {name[1]!r} calls itself; export it again")
            opened.add(name)
            pending.append((name, True))
            pending += [(call, False) for call in dict.fromkeys(calls) if call in bodies]


def _nodes(nodes: Iterable[Any]) -> Iterable[Any]:
    """Yield nodes and those of the graphs in their attributes."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        yield node
        for attribute in node.attribute:
            pending += attribute.g.node
            for graph in attribute.graphs:
                pending += graph.node


def may_propagate(values: Iterable[Any]) -> bool:
    """Whether contents of integer vectors may be followed, given what their shapes are.

    Twenty-five concatenations of a vector with itself are a vector of 128 million numbers.
    """
    from onnx import TensorProto

    integers = {TensorProto.INT64, TensorProto.INT32}
    kinds = (value.type.tensor_type for value in values)
    lengths = (kind.shape.dim[0] for kind in kinds if kind.elem_type in integers and _is_row(kind))
    return all(length.dim_value <= _PROPAGATED_MAX for length in lengths)


def _is_row(kind: Any) -> bool:
    return len(kind.shape.dim) == 1
