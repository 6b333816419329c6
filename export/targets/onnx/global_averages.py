"""Averages over height and width that ONNX Runtime computes in integers.

*Given* ``DequantizeLinear → ReduceMean → QuantizeLinear``. *Result*: ``GlobalAveragePool`` between
them, the same average, and ``Flatten`` of the integers where it drops its dimensions. The runtime
has an integer kernel for the pool and the conversions around it, and none for ``ReduceMean``.
Kernel times of MobileNetV3-Large: 8 averages took 463 of 5894 µs, and take 78 of 5300.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

_IMAGE_RANK = 4


def with_global_averages(model: Any) -> None:
    """Spell averages of integers over height and width as global pools, in place."""
    graph = model.graph
    averages = _averages_of_integers(graph)
    read = Counter(name for node in graph.node for name in node.input)
    read.update(each.name for each in graph.output)
    nodes: list[Any] = []
    for node in graph.node:
        nodes.append(node)
        average = averages.get(node.input[0]) if node.op_type == "QuantizeLinear" else None
        if average is None or read[average.output[0]] != 1:
            continue
        if not _keeps_dimensions(average):
            nodes.append(_flattened(graph, average, node))
        average.op_type = "GlobalAveragePool"
        del average.input[1:]
        del average.attribute[:]
    del graph.node[:]
    graph.node.extend(nodes)


def _averages_of_integers(graph: Any) -> dict[str, Any]:
    """Return the averages of dequantized (N, C, H, W) over height and width, by their result."""
    from onnx import numpy_helper

    stored = {each.name: each for each in graph.initializer}
    made = {out: node.op_type for node in graph.node for out in node.output}
    ranks = {each.name: len(each.type.tensor_type.shape.dim) for each in graph.value_info}
    found: dict[str, Any] = {}
    for node in graph.node:
        if node.op_type != "ReduceMean" or made.get(node.input[0]) != "DequantizeLinear":
            continue
        axes = stored.get(node.input[1]) if len(node.input) > 1 else None
        if axes is None or ranks.get(node.input[0]) != _IMAGE_RANK:
            continue
        if {int(axis) % _IMAGE_RANK for axis in numpy_helper.to_array(axes)} == {2, 3}:
            found[node.output[0]] = node
    return found


def _keeps_dimensions(average: Any) -> bool:
    return all(each.i for each in average.attribute if each.name == "keepdims")


def _flattened(graph: Any, average: Any, quantize: Any) -> Any:
    """Let ``quantize`` give (N, C, 1, 1) under another name; return what makes (N, C) of it."""
    from onnx import helper

    for info in [each for each in graph.value_info if each.name == average.output[0]]:
        graph.value_info.remove(info)
    result = quantize.output[0]
    quantize.output[0] = f"{result}_of_an_image"
    return helper.make_node("Flatten", [quantize.output[0]], [result], name=result, axis=1)
