"""Find the operators that a converter or runtime fails on, by giving it each one alone.

A converter's own message names its inner operators, and often the wrong line; a runtime's names
neither. Runs only after a failure: a job that succeeds never pays for it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload
from torch.utils import _pytree as pytree

from cnn_export.program.program import Program
from cnn_export.program.tensors import TensorSpec
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.diagnosis import source_line

Attempt = Callable[[Program], str | None]
"""Converts and runs a program; returns what goes wrong."""


def failing_operators(program: Program, attempt: Attempt) -> list[OpRefusal]:
    """Return the operators that fail alone, each kind once, in the graph's order.

    Sizes make another kind only where no operator fails otherwise. Empty where each one works
    alone, and where nothing works at all: then no operator is the reason.
    """
    if attempt(_control()) is not None:
        return []
    tried: set[str] = set()
    return _failing(program, attempt, tried, sized=False) or _failing(
        program, attempt, tried, sized=True
    )


def _failing(
    program: Program, attempt: Attempt, tried: set[str], *, sized: bool
) -> list[OpRefusal]:
    refusals: list[OpRefusal] = []
    for node in _kinds(program.graph_module.graph, sized=sized):
        if node.name in tried:
            continue
        tried.add(node.name)
        single = alone(program, node)
        reason = None if single is None else attempt(single)
        if reason is not None:
            refusals.append(OpRefusal(str(node.target), node.name, reason, source_line(node)))
    return refusals


def _kinds(graph: fx.Graph, *, sized: bool) -> Iterator[fx.Node]:
    """Yield the first node of every kind: operator, arguments, and what it reads."""
    seen: set[str] = set()
    for node in graph.nodes:
        if not isinstance(node.target, OpOverload):
            continue
        kind = repr((node.target, pytree.tree_map(_described(sized), (node.args, node.kwargs))))
        if kind not in seen:
            seen.add(kind)
            yield node


def _described(sized: bool) -> Callable[[Any], Any]:
    def described(value: Any) -> Any:
        if not isinstance(value, fx.Node):
            return value
        tensor = value.meta.get("val")
        if not isinstance(tensor, torch.Tensor):
            return "value"
        shape = tuple(tensor.shape) if sized else tensor.dim()
        return (value.op == "get_attr", tensor.dtype, shape)

    return described


def alone(program: Program, node: fx.Node) -> Program | None:
    """Return the program of one operator, stored tensors and all; ``None`` where it has none.

    What it reads becomes an input of the size it has in the network, a batch of its traced size.
    """
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    examples: list[torch.Tensor] = []
    for source in node.all_input_nodes:
        if source.op == "get_attr":
            copies[source] = graph.node_copy(source)
            continue
        example = _example(source.meta.get("val"))
        if example is None:
            return None
        copies[source] = _insert_input(graph, node, f"input_{len(examples)}", example)
        examples.append(example)
    outputs = _insert_outputs(graph, node, graph.node_copy(node, copies.__getitem__))
    if not examples or not outputs:
        return None
    graph.output(tuple(outputs))
    return _program(fx.GraphModule(program.graph_module, graph), examples, outputs)


def _insert_input(graph: fx.Graph, node: fx.Node, name: str, example: torch.Tensor) -> fx.Node:
    placeholder = graph.placeholder(name)
    placeholder.meta["val"] = example
    if not operator_name(node).endswith("_"):
        return placeholder
    # An operator that writes to its input would write to the program's.
    copied = graph.call_function(torch.ops.aten.clone.default, (placeholder,))
    copied.meta["val"] = example
    return copied


def _example(value: Any) -> torch.Tensor | None:
    if not isinstance(value, torch.Tensor):
        return None
    sizes: list[Any] = list(value.shape)
    shape = [size if isinstance(size, int) else size.node.hint for size in sizes]
    if not value.dtype.is_floating_point:
        return torch.zeros(shape, dtype=value.dtype)
    generator = torch.Generator().manual_seed(math.prod(shape))
    return torch.rand(shape, generator=generator).to(value.dtype)


def _insert_outputs(graph: fx.Graph, node: fx.Node, copied: fx.Node) -> list[fx.Node]:
    value: Any = node.meta.get("val")
    if isinstance(value, torch.Tensor):
        return [_with_example(copied, value)]
    if not isinstance(value, (list, tuple)):
        return []
    items: list[Any] = list(value)
    return [
        _with_example(graph.call_function(operator.getitem, (copied, index)), item)
        for index, item in enumerate(items)
        if isinstance(item, torch.Tensor)
    ]


def _with_example(node: fx.Node, value: torch.Tensor) -> fx.Node:
    node.meta["val"] = _example(value)
    return node


def _program(
    module: fx.GraphModule, examples: list[torch.Tensor], outputs: list[fx.Node]
) -> Program:
    names = [node.name for node in module.graph.find_nodes(op="placeholder")]
    values = [node.meta["val"] for node in outputs]
    return Program(
        graph_module=module,
        inputs=tuple(_spec(name, each) for name, each in zip(names, examples, strict=True)),
        outputs=tuple(_spec(f"output_{i}", each) for i, each in enumerate(values)),
        example_inputs=tuple(examples),
        dynamic_batch=False,
    )


def _spec(name: str, tensor: torch.Tensor) -> TensorSpec:
    return TensorSpec(name, tuple(tensor.shape), tensor.dtype)


def _control() -> Program:
    """Return a program that every format and runtime takes."""
    graph = fx.Graph()
    example = torch.ones(1, 2, 3, 4)
    source = graph.placeholder("input_0")
    result = graph.call_function(torch.ops.aten.relu.default, (source,))
    source.meta["val"] = result.meta["val"] = example
    graph.output((result,))
    return _program(fx.GraphModule({}, graph), [example], [result])
