"""What all formats do with a graph that they are to write in int8."""

from __future__ import annotations

from typing import Any

from torch._ops import OpOverload

from cnn_export.errors import UsageError
from cnn_export.program.program import Program
from cnn_export.targets.options import TargetOptions

_NAMESPACE = "quantized_decomposed"


def is_quantized(options: TargetOptions) -> bool:
    """Whether the precision is one whose graph holds quantize and dequantize."""
    return options.precision.startswith("int8")


def is_quantization(op: Any) -> bool:
    """Whether it is a quantize or dequantize, which every converter here reads."""
    return isinstance(op, OpOverload) and op.namespace == _NAMESPACE


def require_quantized(program: Program, options: TargetOptions) -> None:
    """Check that a graph is quantized if a precision of integers is asked for.

    Raises:
        UsageError: it is not; the file would hold floats under the name of int8.
    """
    nodes = program.graph_module.graph.nodes
    if is_quantized(options) and not any(is_quantization(node.target) for node in nodes):
        raise UsageError(
            f"precision {options.precision} takes a quantized network, and this one holds floats"
            " only"
        )
