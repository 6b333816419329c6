"""From operators and tensors to bytes: what is constant, what each operator moves."""

from __future__ import annotations

import dataclasses
from collections import Counter

from cnn_export.artifact_files.op_graph import Category, Op, OpGraph, Tensor
from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost, OpCost
from cnn_export.benchmarks.cost.live_tensors import peak_activation

_STILL: frozenset[Category] = frozenset({"view", "constant"})
"""Categories that move nothing during an inference."""

_WIDENED_EVERY_RUN = "DequantizeLinear"
"""ONNX Runtime folds constants but never these, so that it still finds groups around them."""


def account(graph: OpGraph, name: str) -> ArtifactCost:
    """Return the cost of a graph; takes time linear in its operators."""
    stored = {key for key, tensor in graph.tensors.items() if tensor.constant}
    read = {key for op in graph.ops for key in op.inputs}
    graph = fold_constants(graph)
    peak_bytes, peak_at = peak_activation(graph)
    borders, cropped = _padded_reads(graph), _cropped_writes(graph)
    return ArtifactCost(
        name=name,
        format=graph.format,
        batch=graph.batch,
        ops=[_op_cost(op, graph) for op in graph.ops],
        weight_bytes=sum(graph.tensors[key].nbytes for key in stored & read),
        peak_activation_bytes=peak_bytes,
        peak_at=peak_at,
        padded_read_bytes=sum(after.nbytes - before.nbytes for before, after in borders),
        padded_read_elements=sum(after.elements - before.elements for before, after in borders),
        cropped_write_bytes=sum(before.nbytes - after.nbytes for before, after in cropped),
        cropped_write_elements=sum(before.elements - after.elements for before, after in cropped),
    )


def fold_constants(graph: OpGraph) -> OpGraph:
    """Mark what operators make of constants alone as constant: runtimes do it once, at load.

    Its readers read the folded tensor, in the folded tensor's dtype: float16 weights behind a
    DEQUANTIZE are float32 to the kernel that uses them. What ONNX Runtime widens at every inference
    (a DequantizeLinear that is of no integer group, and what follows it) keeps its category, and
    with it the bytes that it moves.
    """
    tensors = dict(graph.tensors)
    ops: list[Op] = []
    widened: set[str] = set()
    for op in graph.ops:
        if op.inputs and all(tensors[key].constant for key in op.inputs):
            for key in op.outputs:
                tensors[key] = dataclasses.replace(tensors[key], constant=True)
            if op.kind == _WIDENED_EVERY_RUN or widened & set(op.inputs):
                widened.update(op.outputs)
            else:
                op = dataclasses.replace(op, category="constant", macs=0)
        ops.append(op)
    return dataclasses.replace(graph, tensors=tensors, ops=tuple(ops))


def _op_cost(op: Op, graph: OpGraph) -> OpCost:
    inputs = [graph.tensors[key] for key in dict.fromkeys(op.inputs)]
    outputs = [graph.tensors[key] for key in op.outputs]
    weights = [tensor for tensor in inputs if tensor.constant]
    activations = [tensor for tensor in inputs if not tensor.constant]
    written = sum(tensor.nbytes for tensor in outputs)
    read = sum(tensor.nbytes for tensor in activations)
    widest = max(weights, key=lambda tensor: tensor.nbytes, default=None)
    moved = OpCost(
        name=op.name,
        kind=op.kind,
        category=op.category,
        macs=op.macs,
        input_bytes=min(read, written) if op.category == "window" else read,
        weight_bytes=sum(tensor.nbytes for tensor in weights),
        output_bytes=written,
        activation_elements=_elements([*activations, *outputs]),
        dtype=outputs[0].dtype if outputs else "",
        weight_dtype=widest.dtype if widest else None,
        partition=op.partition,
    )
    if op.category not in _STILL:
        return moved
    return dataclasses.replace(
        moved, input_bytes=0, weight_bytes=0, output_bytes=0, activation_elements=0
    )


def _elements(tensors: list[Tensor]) -> int:
    return sum(tensor.elements for tensor in tensors)


def _padded_reads(graph: OpGraph) -> list[tuple[Tensor, Tensor]]:
    """Return (before, after) of an explicit padding, for each contraction or pool that reads it."""
    padded = {
        op.outputs[0]: (graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]])
        for op in graph.ops
        if op.category == "padding"
    }
    return [
        padded[key]
        for op in graph.ops
        if op.category in {"contraction", "pool"}
        for key in dict.fromkeys(op.inputs)
        if key in padded
    ]


def _cropped_writes(graph: OpGraph) -> list[tuple[Tensor, Tensor]]:
    """Return (before, after) of what alone reads a contraction's result and keeps a part of it."""
    results = {op.outputs[0] for op in graph.ops if op.category == "contraction"}
    readers = Counter(key for op in graph.ops for key in dict.fromkeys(op.inputs))
    return [
        (graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]])
        for op in graph.ops
        if op.category == "window" and op.inputs[0] in results and readers[op.inputs[0]] == 1
    ]
