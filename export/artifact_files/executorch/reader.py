"""Read a ``.pte`` file: the program's own kernels and, inside each delegate, its XNNPACK graph.

ExecuTorch's Python reader imports torch; this one reads the FlatBuffers data by the schema files
that the executorch wheel carries.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from cnn_export.artifact_files.executorch.aten_kernels import kernel_op
from cnn_export.artifact_files.executorch.program import PteProgram, program_schema
from cnn_export.artifact_files.executorch.xnnpack_graph import Payload, graph_schema, read_payload
from cnn_export.artifact_files.file_content import mapped
from cnn_export.artifact_files.flatbuffers.table import Table
from cnn_export.artifact_files.malformed import refusing_malformed
from cnn_export.artifact_files.op_graph import Op, OpGraph, Tensor, at_batch_one
from cnn_export.artifact_files.partition_report import OutsideOp, PartitionReport
from cnn_export.command_line.packages import package_folder, require
from cnn_export.errors import InputRefused

_METHOD = "forward"
METADATA_PREFIX = "meta_"
"""Metadata pairs are constant methods of the program: ``meta_KEY`` returns the value."""

_XNNPACK = "XnnpackBackend"
_DYNAMIC_BOUND = 1
_PROGRAM_MAGIC = b"ET12"
_DTYPES = {
    0: "uint8",
    1: "int8",
    2: "int16",
    3: "int32",
    4: "int64",
    5: "float16",
    6: "float32",
    7: "float64",
    11: "bool",
    12: "int8",
    13: "uint8",
    14: "int32",
    15: "bfloat16",
    27: "uint16",
    28: "uint32",
    29: "uint64",
}
"""``ScalarType`` of scalar_type.fbs."""


class ExecuTorchFile:
    """One program, mapped once.

    Raises:
        InputRefused: it is no ExecuTorch program, or damaged.
        TargetUnavailable: executorch, which carries the schema, is not installed.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise InputRefused("it is a folder, not a .pte file")
        require("run-executorch", ["executorch"])
        data = mapped(path)
        if bytes(data[4:8]) != _PROGRAM_MAGIC:
            raise InputRefused("it is no ExecuTorch program (no 'ET12' at byte 4)")
        with refusing_malformed("ExecuTorch program"):
            self._program = PteProgram(data)

    def graph(self) -> OpGraph:
        """Return the operators of method ``forward``, a delegate's in place of its call.

        A dynamic batch counts as 1; other dynamic sizes count at their upper bound.

        Raises:
            InputRefused: damaged, no ``forward``, or a delegate other than XNNPACK.
        """
        return self._graph

    @functools.cached_property
    def _graph(self) -> OpGraph:
        with refusing_malformed("ExecuTorch program"):
            return _Reader(self._program, self._forward()).graph()

    def metadata(self) -> dict[str, str]:
        """Return what the constant methods ``meta_KEY`` return.

        Raises:
            InputRefused: damaged.
        """
        with refusing_malformed("ExecuTorch program"):
            found: dict[str, str] = {}
            for plan in self._program.table["execution_plan"]:
                if not str(plan["name"]).startswith(METADATA_PREFIX):
                    continue
                (output,) = plan["outputs"]
                value = plan["values"][output]["val"]
                if value is not None and value.name == "String":
                    found[plan["name"].removeprefix(METADATA_PREFIX)] = value["string_val"]
            return found

    def partitions(self) -> PartitionReport:
        """Return delegate calls, the operators inside them, and the kernel calls beside them.

        Raises:
            InputRefused: as :meth:`graph`.
        """
        delegated = sum(op.partition is not None for op in self.graph().ops)
        with refusing_malformed("ExecuTorch program"):
            plan = self._forward()
            operators = plan["operators"]
            calls = [call for call in _calls(plan) if call is not None]
            kernels = Counter(
                _kernel_name(operators[call["op_index"]])
                for call in calls
                if call.name == "KernelCall"
            )
            return PartitionReport(
                delegate="XNNPACK",
                partitions=sum(call.name == "DelegateCall" for call in calls),
                delegated_ops=delegated,
                outside=tuple(OutsideOp(op, count) for op, count in sorted(kernels.items())),
            )

    def _forward(self) -> Table:
        methods = {plan["name"]: plan for plan in self._program.table["execution_plan"]}
        if _METHOD not in methods:
            raise InputRefused(f"it has no method {_METHOD!r}; export the network's forward")
        return methods[_METHOD]


opened = ExecuTorchFile


def load_vendor() -> None:
    """Read the schemas."""
    program_schema()
    graph_schema(package_folder("executorch"))


def _calls(plan: Table) -> Iterable[Table | None]:
    for chain in plan["chains"]:
        for instruction in chain["instructions"]:
            yield instruction["instr_args"]


def _kernel_name(operator: Table) -> str:
    return f"{operator['name']}.{operator['overload'] or ''}".rstrip(".")


class _Reader:
    """Walks one method in order of execution."""

    def __init__(self, program: PteProgram, plan: Table) -> None:
        self._program = program
        self._plan = plan
        self._values = [entry["val"] for entry in plan["values"]]
        self._operators = plan["operators"]
        self._delegates = plan["delegates"]
        self._batch_bound = _batch_bound([self._values[i] for i in plan["inputs"]])
        self._tensors = {
            str(index): self._tensor(index, value)
            for index, value in enumerate(self._values)
            if value is not None and value.name == "Tensor"
        }
        inputs = [str(index) for index in plan["inputs"]]
        self._inputs = tuple(key for key in inputs if key in self._tensors)
        self._defined = set(self._inputs)
        self._ops: list[Op] = []
        self._partitions = 0

    def graph(self) -> OpGraph:
        for call in _calls(self._plan):
            self._instruction(call)
        outputs = tuple(str(i) for i in self._plan["outputs"] if str(i) in self._tensors)
        return OpGraph("executorch", self._tensors, tuple(self._ops), self._inputs, outputs)

    def _tensor(self, index: int, value: Table) -> Tensor:
        sizes = value["sizes"]
        if value["shape_dynamism"] == _DYNAMIC_BOUND:
            sizes = at_batch_one(sizes, self._batch_bound)
        info = value["extra_tensor_info"]
        name = info["fully_qualified_name"] if info else None
        stored = value["data_buffer_idx"] > 0 and value["allocation_info"] is None
        return Tensor(name or f"value_{index}", sizes, _dtype(value["scalar_type"]), stored)

    def _instruction(self, call: Table | None) -> None:
        if call is None or call.name in {"MoveCall", "FreeCall"}:
            return
        if call.name == "DelegateCall":
            self._delegate(call)
        elif call.name == "KernelCall":
            self._kernel(call)
        else:
            self._ops.append(Op(call.name, call.name, "unknown", (), (), macs=None))

    def _kernel(self, call: Table) -> None:
        operator = self._operators[call["op_index"]]
        arguments = [str(index) for index in call["args"]]
        flat = list(dict.fromkeys(key for each in arguments for key in self._flat(each)))
        read = [k for k in flat if k in self._defined or self._tensors[k].constant]
        written = [key for key in flat if key not in read]
        if not flat:
            return
        self._defined.update(written)
        name = _kernel_name(operator)
        booleans = [self._values[int(k)] for k in arguments]
        transposed = any(v is not None and v.name == "Bool" and v["bool_val"] for v in booleans)
        position = f"{name.rpartition(':')[2]}_{len(self._ops)}"
        self._ops.append(
            kernel_op(position, name, read, written, self._tensors, transposed=transposed)
        )

    def _flat(self, key: str) -> list[str]:
        """Return the tensors of an argument: itself, or the items of a list of tensors."""
        value = self._values[int(key)]
        if value is not None and value.name in {"TensorList", "OptionalTensorList"}:
            return [str(item) for item in value["items"] if str(item) in self._tensors]
        return [key] if key in self._tensors else []

    def _delegate(self, call: Table) -> None:
        delegate = self._delegates[call["delegate_index"]]
        if delegate["id"] != _XNNPACK:
            raise InputRefused(
                f"delegate {delegate['id']!r} has a graph of its own that is not read here; "
                "export for XNNPACK"
            )
        arguments = [str(index) for index in call["args"]]
        data = self._program.payload(delegate["processed"])
        # Thousands of calls could name one large payload.
        self._program.table.limit.take(len(data))
        payload = Payload(
            data,
            self._partitions,
            arguments,
            self._batch_bound,
            self._program.named_sizes,
        )
        tensors, ops = read_payload(payload, package_folder("executorch"))
        self._tensors.update({key: t for key, t in tensors.items() if key not in self._tensors})
        self._defined.update(key for op in ops for key in op.outputs)
        self._ops.extend(ops)
        self._partitions += 1


def _batch_bound(inputs: list[Table | None]) -> int | None:
    """Return the upper bound of a dynamic batch, read from the inputs."""
    for value in inputs:
        if value is None or value.name != "Tensor" or not value["sizes"]:
            continue
        if value["shape_dynamism"] == _DYNAMIC_BOUND:
            return int(value["sizes"][0])
    return None


def _dtype(scalar_type: int) -> str:
    if scalar_type not in _DTYPES:
        raise InputRefused(f"scalar type {scalar_type} has no known size; export another dtype")
    return _DTYPES[scalar_type]
