"""What shape inference may be let loose on: small files can make it take any time and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cnn_export.errors import InputRefused

_CALLED_NODES_MAX = 100_000
_PROPAGATED_MAX = 4096
"""No shape arithmetic has integer vectors of more elements."""


def require_bounded_functions(model: Any) -> None:
    """Refuse model-local functions that call themselves, or multiply without end.

    Inference walks a function's body at every call: thirty that call the next one twice are a
    thousand million nodes.

    Raises:
        InputRefused: as said.
    """
    bodies: dict[str, list[Any]] = {}
    for function in model.functions:
        key = _key(function.domain, function.name, function.overload)
        if key in bodies:
            raise InputRefused(f"it has two functions {key!r}; export it again")
        bodies[key] = [*_nodes(function.node)]
    sizes: dict[str, int] = {}
    for name in bodies:
        _measure(name, bodies, sizes)
    if sum(sizes.get(_called(n), 1) for n in _nodes(model.graph.node)) > _CALLED_NODES_MAX:
        raise InputRefused(
            f"its functions stand for more than {_CALLED_NODES_MAX} operators; inline them"
        )


def _key(domain: str, name: str, overload: str) -> str:
    """Return what onnx looks functions up by: two triples may be one key to it."""
    return ":".join((domain, name, overload) if overload else (domain, name))


def _called(node: Any) -> str:
    return _key(node.domain, node.op_type, node.overload)


def _measure(start: str, bodies: Mapping[str, list[Any]], sizes: dict[str, int]) -> None:
    """Add to ``sizes`` how many nodes ``start`` and what it calls stand for; without recursion."""
    pending = [(start, False)]
    opened: set[str] = set()
    while pending:
        name, ready = pending.pop()
        calls = [_called(node) for node in bodies[name]]
        if ready:
            sizes[name] = 1 + sum(sizes.get(call, 1) for call in calls)
            opened.discard(name)
        elif name not in sizes:
            if name in opened:
                raise InputRefused(f"its function {name!r} calls itself; export it again")
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


def stored_tensors(model: Any) -> Iterable[Any]:
    """Yield every tensor that the model holds or names, those of nested graphs too."""
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in _nodes(function.node)]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes += graph.node
            continue
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
            graphs += [attribute.g, *attribute.graphs] if _holds_graph(attribute) else []


def may_propagate(model: Any) -> bool:
    """Whether contents of integer vectors may be followed, given what their inferred shapes are.

    Twenty-five concatenations of a vector with itself are a vector of 128 million numbers. Of
    those inside functions and branches inference does not tell the shapes: these are not followed.
    """
    from onnx import TensorProto

    graph = model.graph
    if model.functions or any(_has_graph(node) for node in graph.node):
        return False
    values = (*graph.value_info, *graph.output, *graph.input)
    integers = {TensorProto.INT64, TensorProto.INT32}
    kinds = (value.type.tensor_type for value in values)
    lengths = (kind.shape.dim[0] for kind in kinds if kind.elem_type in integers and _is_row(kind))
    return all(length.dim_value <= _PROPAGATED_MAX for length in lengths)


def _has_graph(node: Any) -> bool:
    return any(_holds_graph(each) for each in node.attribute)


def _holds_graph(attribute: Any) -> bool:
    return bool(attribute.HasField("g") or attribute.graphs)


def _is_row(kind: Any) -> bool:
    return len(kind.shape.dim) == 1
