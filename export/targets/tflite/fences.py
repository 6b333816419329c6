"""Keep the converter from rounding to 8 bits inside of what the graph computes in float.

Of an operator that selects among values (``SELECT``, ``MINIMUM``, …) it wants all sides on one
grid: where one of them, or the result, is quantized, it quantizes the others, although the graph
has floats there. An ELU, spelled ``x >= 0 ? x : exp(x) − 1``, is rounded twice then, and with a
Mish whose parts lie on three grids the result is several steps off. It also turns a float sum or
product between a dequantize and a quantize into an integer one.

A fence is an operator of one input that has no integer form. It stands wherever floats are made
of integers or become some, and the file's own editing takes it out again.
"""

from __future__ import annotations

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.errors import OperatorRefused
from cnn_export.quantization.emulation.limits import is_moved
from cnn_export.quantization.emulation.regions import regions
from cnn_export.quantization.emulation.xnnpack import XNNPACK
from cnn_export.quantization.insertion.decomposed import DEQUANTIZE, QUANTIZE
from cnn_export.reparam.graph.operators import operator_name, overload
from cnn_export.reparam.graph.surgery import insert_call

_FENCES: dict[str, tuple[OpOverload, str]] = {
    "sin": (torch.ops.aten.sin.default, "SIN"),
    "cos": (torch.ops.aten.cos.default, "COS"),
}
"""By operator: its overload, and what it is called in a file."""


def fence(graph_module: fx.GraphModule) -> str:
    """Fence every float part of a quantized graph in, in place; return the kind of the fences.

    Raises:
        OperatorRefused: the network uses all operators that could be one.
    """
    nodes = list(graph_module.graph.nodes)
    operator, kind = _unused({operator_name(node) for node in nodes})
    inside = {node for region in regions(graph_module, XNNPACK) for node in region.inside}
    for node in nodes:
        if overload(node) is DEQUANTIZE:
            readers = [user for user in node.users if _is_float(user, inside)]
            if readers:
                _insert(node, operator, readers, before=min(readers))
        elif overload(node) is QUANTIZE:
            (source,) = node.all_input_nodes
            if _is_float(source, inside):
                _insert(source, operator, [node], before=node)
    graph_module.recompile()
    return kind


def _unused(names: set[str]) -> tuple[OpOverload, str]:
    for name, found in _FENCES.items():
        if name not in names:
            return found
    raise OperatorRefused(f"int8 has no TFLite form for a network with {' and '.join(_FENCES)}")


def _is_float(node: fx.Node, inside: set[fx.Node]) -> bool:
    """Whether a node computes in float: outside of kernels, conversions and moves of integers."""
    if node.op != "call_function" or node in inside or overload(node) in (QUANTIZE, DEQUANTIZE):
        return False
    return not (is_moved(node) and _is_between_integers(node))


def _is_between_integers(node: fx.Node) -> bool:
    read = all(overload(each) is DEQUANTIZE for each in node.all_input_nodes)
    return read and all(overload(user) is QUANTIZE for user in node.users)


def _insert(
    value: fx.Node, operator: OpOverload, readers: list[fx.Node], *, before: fx.Node
) -> None:
    call = insert_call(value.graph, operator, (value,), before=before, like=value)
    for reader in readers:
        reader.replace_input_with(value, call)
