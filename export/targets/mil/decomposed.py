"""The torch side of a conversion: the decomposed program, and what of it has no converter."""

from __future__ import annotations

from typing import Any

from torch import fx
from torch.export import ExportedProgram

from cnn_export.program import Program
from cnn_export.targets import diagnosis
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.mil.vendor import coremltools, quiet

_NO_OPS = frozenset({"alias", "alias_copy", "detach", "lift_fresh", "lift_fresh_copy"})


def decompose(program: Program) -> ExportedProgram:
    """Return the program in the operators that coremltools converts, without aliases."""
    with quiet():
        exported = program.exported.run_decompositions({})
    for node in list(exported.graph.nodes):
        if _is_no_op(node):
            _bypass(exported, node)
    exported.graph_module.recompile()
    return exported


def unconverted(exported: ExportedProgram) -> list[OpRefusal]:
    """Return every kind of operator that coremltools has no conversion for."""
    known = _converter_names()
    return diagnosis.unknown_operators(
        exported.graph,
        lambda operator: _converter_name(operator) in known,
        "coremltools has no conversion",
    )


def _is_no_op(node: fx.Node) -> bool:
    packet = getattr(node.target, "overloadpacket", None)
    return node.op == "call_function" and getattr(packet, "__name__", "") in _NO_OPS


def _bypass(exported: ExportedProgram, node: fx.Node) -> None:
    source: Any = node.args[0]
    node.replace_all_uses_with(source)
    exported.graph_signature.replace_all_uses(node.name, source.name)
    exported.graph.erase_node(node)


def _converter_names() -> set[str]:
    coremltools()
    from coremltools.converters.mil.frontend.torch import torch_op_registry

    registry: Any = torch_op_registry
    return set(registry._TORCH_OPS_REGISTRY.name_to_func_mapping)


def _converter_name(operator: Any) -> str:
    """Return the name under which coremltools looks an operator up."""
    from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

    return str(sanitize_op_kind(operator.name()))
