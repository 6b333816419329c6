"""Integer inputs and outputs, which litert-torch does not take, as floats that it fuses."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.program.program import Program
from cnn_export.quantization.decision import TensorScale
from cnn_export.quantization.insertion.decomposed import (
    DEQUANTIZE,
    QUANTIZE,
    insert_dequantize,
    insert_quantize,
)
from cnn_export.reparam.graph.copies import copied
from cnn_export.reparam.graph.operators import overload, value_of
from cnn_export.reparam.graph.surgery import replace

_INTEGERS = {torch.int8: "int8", torch.uint8: "uint8"}


def with_float_borders(program: Program) -> Program:
    """Return the program with quantized inputs and outputs as float32, quantized inside to int8.

    The converter drops the outermost quantize and dequantize of a graph, so that the tensors of
    the file are int8 again, with their scale; those of uint8 are left to the file's own editing.
    """
    graph_module = copied(program.graph_module)
    for node in graph_module.graph.find_nodes(op="placeholder"):
        if node.users and all(overload(user) is DEQUANTIZE for user in node.users):
            _take_floats(node)
    output = graph_module.graph.output_node()
    for node in output.all_input_nodes:
        if overload(node) is QUANTIZE:
            _give_floats(node, output)
    graph_module.graph.eliminate_dead_code()
    graph_module.recompile()
    return program.with_graph(graph_module)


def _take_floats(node: fx.Node) -> None:
    dequantizes = list(node.users)
    kind = _INTEGERS[value_of(node).dtype]
    node.meta["val"] = value_of(dequantizes[0])
    if kind == "uint8":
        # Behind it stands the quantize to int8 that everything else reads.
        for each in dequantizes:
            replace(each, node)
        return
    before = min(dequantizes)
    quantize = insert_quantize(node, _scale(dequantizes[0]), kind, before=before, like=before)
    for each in dequantizes:
        each.replace_input_with(node, quantize)


def _give_floats(node: fx.Node, output: fx.Node) -> None:
    kind = _INTEGERS[value_of(node).dtype]
    source = node.args[0]
    if kind == "uint8" and isinstance(source, fx.Node):
        output.replace_input_with(node, source)
        return
    real = insert_dequantize(node, _scale(node), kind, before=output, like=node)
    output.replace_input_with(node, real)


def _scale(node: fx.Node) -> TensorScale:
    parameters: Any = node.args[1:3]
    return TensorScale(*parameters, why="the graph's own")
