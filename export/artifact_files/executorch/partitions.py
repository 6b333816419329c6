"""How a .pte file splits between XNNPACK and ExecuTorch's own kernels, read from the file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from flatbuffers import encode, number_types
from flatbuffers.table import Table

from cnn_export.artifact_files.partition_report import OutsideOp, PartitionReport
from cnn_export.errors import InputRefused

_XNNPACK = "XnnpackBackend"
_PAYLOAD_MAGIC = b"XH00"
_NODES_SLOT = 6
"""Vtable offset of ``xnodes``, the second field of ``XNNGraph`` in XNNPACK's runtime schema."""


def read(path: Path) -> PartitionReport:
    """Count delegate calls and kernel calls of the ``forward`` method.

    Raises:
        InputRefused: an XNNPACK payload has a header this reader does not know.
    """
    from executorch.exir._serialize._program import deserialize_pte_binary

    # Deserializing moves every payload from its segment into ``backend_delegate_data``.
    program: Any = deserialize_pte_binary(path.read_bytes()).program
    plan = next(p for p in program.execution_plan if p.name == "forward")
    calls = [call.instr_args for chain in plan.chains for call in chain.instructions]
    kinds = Counter(type(call).__name__ for call in calls)
    kernels = Counter(
        _full_name(plan.operators[call.op_index])
        for call in calls
        if type(call).__name__ == "KernelCall"
    )
    return PartitionReport(
        delegate="XNNPACK",
        partitions=kinds["DelegateCall"],
        delegated_ops=sum(_delegated_ops(payload) for payload in _payloads(program, plan)),
        outside=tuple(OutsideOp(op, count) for op, count in sorted(kernels.items())),
    )


def _full_name(operator: Any) -> str:
    return f"{operator.name}.{operator.overload}" if operator.overload else str(operator.name)


def _payloads(program: Any, plan: Any) -> list[bytes]:
    return [
        bytes(program.backend_delegate_data[delegate.processed.index].data)
        for delegate in plan.delegates
        if delegate.id == _XNNPACK
    ]


def _delegated_ops(payload: bytes) -> int:
    """Return the number of nodes in one XNNPACK payload.

    The payload starts with a header (magic at byte 4, offset of the graph's flatbuffer at byte
    10); the graph is a flatbuffer table whose ``xnodes`` vector holds the nodes.
    """
    if payload[4:8] != _PAYLOAD_MAGIC:
        raise InputRefused("an XNNPACK payload of the .pte file has an unknown header")
    graph = bytearray(payload[int.from_bytes(payload[10:14], "little") :])
    root = encode.Get(number_types.UOffsetTFlags.packer_type, graph, 0)
    table = Table(graph, root)
    slot = table.Offset(_NODES_SLOT)
    return table.VectorLen(slot) if slot else 0
