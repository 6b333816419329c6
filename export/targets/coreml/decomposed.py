"""The torch side of a conversion: the decomposed program, and what of it has no converter."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from cnn_export.program.program import Program
from cnn_export.targets import diagnosis
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.coreml.vendor import coremltools, quiet

_NO_OPS = frozenset({"alias", "alias_copy", "detach", "lift_fresh", "lift_fresh_copy"})


def decompose(program: Program) -> ExportedProgram:
    """Return the program in the operators that coremltools converts, without aliases.

    Operators that coremltools converts stay whole; the others are replaced by torch's own
    decomposition where there is one. The aliases are those that torch's decomposition writes, so
    no pass over the program's own graph, which stays as it is, could remove them.
    """
    with quiet():
        own_copy = program.exported.run_decompositions(_decompositions())
    for node in list(own_copy.graph.nodes):
        if _is_no_op(node):
            _bypass(own_copy, node)
    own_copy.graph_module.recompile()
    return own_copy


def unconverted(exported: ExportedProgram) -> list[OpRefusal]:
    """Return every kind of operator that coremltools has no conversion for."""
    known = _converter_names()
    return diagnosis.unknown_operators(
        exported.graph,
        lambda operator: _converter_name(operator) in known,
        "coremltools has no conversion",
    )


def _decompositions() -> dict[Any, Callable[..., Any]]:
    known = _converter_names()
    table = dict(torch.export.default_decompositions().items())
    unknown = {op: spell for op, spell in table.items() if _converter_name(op) not in known}
    return {**unknown, torch.ops.aten.gelu.default: _gelu}


def _gelu(x: torch.Tensor, *, approximate: str = "none") -> Any:
    """Spell the tanh form out: coremltools 9.0 ignores ``approximate`` and converts to erf.

    gelu(x) ≈ x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), Hendrycks and Gimpel, arXiv 1606.08415.
    """
    if approximate == "none":
        return NotImplemented
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return 0.5 * x * (1 + torch.tanh(inner))


def _is_no_op(node: fx.Node) -> bool:
    packet = getattr(node.target, "overloadpacket", None)
    return node.op == "call_function" and getattr(packet, "__name__", "") in _NO_OPS


def _bypass(exported: ExportedProgram, node: fx.Node) -> None:
    source: Any = node.args[0]
    node.replace_all_uses_with(source)
    exported.graph_signature.replace_all_uses(node.name, source.name)
    exported.graph.erase_node(node)


@functools.cache
def _converter_names() -> set[str]:
    coremltools()
    from coremltools.converters.mil.frontend.torch import torch_op_registry

    registry: Any = torch_op_registry
    return set(registry._TORCH_OPS_REGISTRY.name_to_func_mapping)


def _converter_name(operator: Any) -> str:
    """Return the name under which coremltools looks an operator up."""
    from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

    return str(sanitize_op_kind(operator.name()))
