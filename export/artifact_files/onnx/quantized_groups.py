"""Quantization written around operators (QDQ form), read as the integer operators it stands for.

dequantize → op → quantize  ⇒  op on integers

A file in this form says what is quantized, and leaves it to the runtime to make each group one
integer kernel at load. Counted as it stands, an int8 file would move more bytes than its float
original. A runtime without the kernel runs the group in float and moves more than is counted here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from cnn_export.artifact_files.op_graph import Op, OpGraph, word_set

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_CLAMPS = frozenset({"Relu", "Clip"})
"""What the range of the quantized result does by itself."""
_INTEGER_KERNELS = word_set(
    "Conv ConvTranspose Gemm MatMul Add Mul Sigmoid LeakyRelu Softmax Concat Relu Clip AveragePool "
    "GlobalAveragePool MaxPool ReduceMean Reshape Flatten Squeeze Unsqueeze Transpose Resize Pad "
    "Slice Split Gather Where"
)
"""Operators with an integer form, or that move elements as they are."""


def fuse_quantized_groups(graph: OpGraph) -> OpGraph:
    """Return the graph with every complete group as one operator on the quantized tensors.

    An operator without an integer form, or with a float neighbour, stays in float between its
    conversions. Dequantizations that nothing reads any more are gone.
    """
    readers = _readers(graph)
    stored = {op.outputs[0]: op.inputs[0] for op in graph.ops if op.kind == _DEQUANTIZE}
    ops: list[Op] = []
    swallowed: set[str] = set()
    for op in graph.ops:
        if swallowed & set(op.outputs):
            continue
        tail = _tail(op, readers, graph.outputs) if op.kind in _INTEGER_KERNELS else []
        if tail and all(key in stored for key in op.inputs):
            swallowed.update(key for each in tail for key in each.outputs)
            quantized = tuple(stored[key] for key in op.inputs)
            op = dataclasses.replace(op, inputs=quantized, outputs=tail[-1].outputs)
        ops.append(op)
    return dataclasses.replace(graph, ops=tuple(_without_unread(ops, graph)))


def _readers(graph: OpGraph) -> dict[str, list[Op]]:
    readers: dict[str, list[Op]] = {}
    for op in graph.ops:
        for key in dict.fromkeys(op.inputs):
            readers.setdefault(key, []).append(op)
    return readers


def _tail(op: Op, readers: Mapping[str, list[Op]], outputs: tuple[str, ...]) -> list[Op]:
    """Return the clamp, if any, and the quantization that alone follow ``op``, empty for others."""
    tail: list[Op] = []
    while len(op.outputs) == 1 and op.outputs[0] not in outputs:
        following = readers.get(op.outputs[0], [])
        if len(following) != 1:
            return []
        op = following[0]
        tail.append(op)
        if op.kind == _QUANTIZE:
            return tail
        if op.kind not in _CLAMPS or len(tail) > 1:
            return []
    return []


def _without_unread(ops: list[Op], graph: OpGraph) -> list[Op]:
    needed = {key for op in ops for key in op.inputs} | set(graph.outputs)
    return [op for op in ops if op.kind != _DEQUANTIZE or needed & set(op.outputs)]
