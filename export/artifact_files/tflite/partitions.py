"""Which operators of a .tflite file the XNNPACK delegate takes, as the interpreter planned it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from cnn_export.artifact_files.partition_report import OutsideOp, PartitionReport

_DELEGATE = "DELEGATE"


def planned_partitions(path: Path) -> PartitionReport:
    """Load the file and read the execution plan.

    The interpreter lists the original operators followed by one ``DELEGATE`` operator per
    partition; an operator belongs to a partition when its result is reached backwards from the
    partition's outputs without passing one of its inputs.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    details: list[dict[str, Any]] = interpreter._get_ops_details()
    partitions = [op for op in details if op["op_name"] == _DELEGATE]
    ops = [op for op in details if op["op_name"] != _DELEGATE]
    inside = _inside(ops, partitions)
    outside = Counter(str(op["op_name"]) for op in ops if op["index"] not in inside)
    return PartitionReport(
        delegate="XNNPACK",
        partitions=len(partitions),
        delegated_ops=len(inside),
        outside=tuple(OutsideOp(op, count) for op, count in sorted(outside.items())),
    )


def _inside(ops: list[dict[str, Any]], partitions: list[dict[str, Any]]) -> set[int]:
    producer = {int(tensor): op for op in ops for tensor in op["outputs"]}
    inside: set[int] = set()
    for partition in partitions:
        border = {int(tensor) for tensor in partition["inputs"]}
        pending = [int(tensor) for tensor in partition["outputs"]]
        while pending:
            tensor = pending.pop()
            op = producer.get(tensor)
            if tensor in border or op is None or op["index"] in inside:
                continue
            inside.add(op["index"])
            pending.extend(int(source) for source in op["inputs"])
    return inside
