"""What all formats do with a graph that they are to write in int8."""

from __future__ import annotations

from typing import Any

from torch._ops import OpOverload

from cnn_export.errors import UsageError
from cnn_export.program.program import Program
from cnn_export.targets.options import TargetOptions

_NAMESPACE = "quantized_decomposed"


def is_quantization(op: Any) -> bool:
    """Whether it is a quantize or dequantize, which every converter here reads."""
    return isinstance(op, OpOverload) and op.namespace == _NAMESPACE


def require_quantized(program: Program, options: TargetOptions) -> None:
    """Check that a graph is quantized if ``int8`` is asked for.

    Raises:
        UsageError: it is not; the file would hold floats under the name of int8.
    """
    nodes = program.graph_module.graph.nodes
    if options.precision == "int8" and not any(is_quantization(node.target) for node in nodes):
        raise UsageError("precision int8 takes a quantized network, and this one holds floats only")
