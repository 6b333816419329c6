"""Inputs and outputs of uint8, which XNNPACK's delegate for ExecuTorch does not take."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.quantization.insertion.decomposed import DEQUANTIZE, QUANTIZE
from cnn_export.reparam.graph.operators import overload, value_of
from cnn_export.reparam.graph.surgery import insert_call, replace

_aten = torch.ops.aten
_OFFSET = 128


def respell_uint8_borders(graph_module: fx.GraphModule) -> None:
    """quantize_int8(dequantize_uint8(x))  ⇒  int8(int16(x) − 128), and the reverse.

    The pair only moves the zero point: all steps stay. What it becomes are kernels of the runtime
    itself, in front of the delegate and behind it; of the pair the runtime has none.
    """
    for node in list(graph_module.graph.nodes):
        pair = _moved(node)
        if pair is not None:
            replace(node, _insert_shift(pair, node))
    graph_module.graph.eliminate_dead_code()


def _moved(node: fx.Node) -> fx.Node | None:
    """Return the integers that a quantize reads through a dequantize of the other dtype."""
    source: Any = node.args[0] if overload(node) is QUANTIZE else None
    if source is None or overload(source) is not DEQUANTIZE:
        return None
    integers: fx.Node = source.args[0]
    return integers if value_of(integers).dtype != value_of(node).dtype else None


def _insert_shift(integers: fx.Node, node: fx.Node) -> fx.Node:
    wanted = value_of(node).dtype
    offset = _OFFSET if wanted == torch.uint8 else -_OFFSET
    graph = node.graph
    wide = insert_call(graph, _aten.to.dtype, (integers, torch.int16), before=node, like=node)
    moved = insert_call(graph, _aten.add.Tensor, (wide, offset), before=node, like=node)
    return insert_call(graph, _aten.to.dtype, (moved, wanted), before=node, like=node)
