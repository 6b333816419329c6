"""Read an ``.onnx`` file with the onnx package; external weights stay on disk."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cnn_export.artifact_files.file_content import PROTOBUF_BYTES_MAX, file_inside, require_size
from cnn_export.artifact_files.malformed import refusing_malformed, require_bytes
from cnn_export.artifact_files.onnx.bounds import stored_tensors
from cnn_export.artifact_files.onnx.operators import computing_inputs, op_of
from cnn_export.artifact_files.onnx.quantized_groups import fuse_quantized_groups
from cnn_export.artifact_files.onnx.shapes import dtype_name, value_tensors
from cnn_export.artifact_files.op_graph import Op, OpGraph, Tensor
from cnn_export.artifact_files.partition_report import OutsideOp, PartitionReport
from cnn_export.command_line.packages import require
from cnn_export.errors import InputRefused

CPU_PROVIDER = "CPUExecutionProvider"
_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})


class OnnxFile:
    """One model, parsed once.

    Raises:
        InputRefused: it is no ONNX model, or truncated.
        TargetUnavailable: onnx is not installed; holds the install line.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        with refusing_malformed("ONNX model"):
            self._model = _load(path)

    def graph(self) -> OpGraph:
        """Return the nodes in order; symbolic sizes of inputs (the batch) count as 1.

        Quantized groups (QDQ form) are what runtimes make of them: one integer operator.

        Raises:
            InputRefused: damaged, its weights are missing, or a shape is unknown.
        """
        return self._graph

    @functools.cached_property  # to infer shapes edits the model
    def _graph(self) -> OpGraph:
        graph = self._model.graph
        with refusing_malformed("ONNX model"):
            constants = {c.name: _constant(c, self._folder) for c in graph.initializer}
            values = value_tensors(self._model)
            return fuse_quantized_groups(_graph(graph, values | constants, frozenset(constants)))

    def metadata(self) -> dict[str, str]:
        """Return the model's metadata properties.

        Raises:
            InputRefused: damaged, or tensors of it lie in other files, of which no hash of this
                one speaks.
        """
        with refusing_malformed("ONNX model"):
            if any(tensor.external_data for tensor in stored_tensors(self._model)):
                raise InputRefused(
                    "it keeps weights in other files, which its manifest does not speak of; save"
                    " it as one file"
                )
            return {entry.key: entry.value for entry in self._model.metadata_props}

    def partitions(self) -> PartitionReport:
        """Return what a session takes: every node of the standard, and it loads no other."""
        nodes = self._model.graph.node
        foreign = [node.op_type for node in nodes if node.domain not in _STANDARD_DOMAINS]
        return PartitionReport(
            delegate=CPU_PROVIDER,
            partitions=1,
            delegated_ops=len(nodes) - len(foreign),
            outside=tuple(OutsideOp(op, foreign.count(op)) for op in sorted(set(foreign))),
        )


opened = OnnxFile


def load_vendor() -> None:
    """Import ONNX's classes and functions."""
    for name in ("onnx", "onnx.helper", "google.protobuf.message"):
        importlib.import_module(name)


def _load(path: Path) -> Any:
    if path.is_dir():
        raise InputRefused("it is a folder, not an .onnx file")
    require("run-onnx", ["onnx"])
    import onnx
    from google.protobuf.message import DecodeError

    require_size(path, PROTOBUF_BYTES_MAX)
    try:
        model = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except DecodeError as error:
        raise InputRefused("it is no ONNX model, or truncated; export it again") from error
    if not model.ir_version or not model.graph.node:
        raise InputRefused("it is no ONNX model: it holds no graph")
    return model


def _graph(graph: Any, tensors: dict[str, Tensor], stored: frozenset[str]) -> OpGraph:
    names = node_names(graph.node)
    ops = [_op(node, name, tensors) for node, name in zip(graph.node, names, strict=True)]
    return OpGraph(
        "onnx",
        tensors,
        tuple(op for op in ops if op is not None),
        tuple(value.name for value in graph.input if value.name not in stored),
        tuple(value.name for value in graph.output),
    )


def node_names(nodes: Iterable[Any]) -> list[str]:
    """Return a name for each node that no other has: files may leave names out or repeat them."""
    names: list[str] = []
    taken: set[str] = set()
    for index, node in enumerate(nodes):
        name = node.name or f"{_kind(node)}_{index}"
        names.append(name if name not in taken else f"{name} #{index}")
        taken.add(names[-1])
    return names


def _kind(node: Any) -> str:
    standard = node.domain in _STANDARD_DOMAINS
    return node.op_type if standard else f"{node.domain}.{node.op_type}"


def _op(node: Any, name: str, tensors: dict[str, Tensor]) -> Op | None:
    """Return the node's operator; a ``Constant`` becomes a stored tensor instead."""
    from onnx.helper import get_attribute_value

    kind = _kind(node)
    outputs = tuple(name for name in node.output if name)
    inputs = tuple(name for name in computing_inputs(kind, list(node.input)) if name)
    _require_known(kind, name, (*inputs, *outputs), tensors)
    if kind == "Constant":
        known = tensors[outputs[0]]
        tensors[outputs[0]] = Tensor(known.name, known.shape, known.dtype, constant=True)
        return None
    attributes = {each.name: get_attribute_value(each) for each in node.attribute}
    return op_of(name, kind, inputs, outputs, tensors, attributes)


def _require_known(
    kind: str, name: str, keys: Iterable[str], tensors: Mapping[str, Tensor]
) -> None:
    for key in keys:
        if key not in tensors:
            raise InputRefused(
                f"the shape of {key!r} at {kind} {name!r} cannot be inferred; give the inputs "
                "fixed sizes, or store the shape in the file"
            )


def _constant(tensor: Any, folder: Path) -> Tensor:
    """Return an initializer after checking that its data is there."""
    found = Tensor(tensor.name, tuple(tensor.dims), dtype_name(tensor.data_type), constant=True)
    if tensor.data_location == tensor.EXTERNAL:
        _require_external(found, {e.key: e.value for e in tensor.external_data}, folder)
    elif tensor.HasField("raw_data"):
        require_bytes(found.name, len(tensor.raw_data), found.nbytes)
        # Shape inference copies the whole model; only small constants can be shapes.
        if len(tensor.raw_data) > _SHAPE_BYTES_MAX:
            tensor.ClearField("raw_data")
    return found


_SHAPE_BYTES_MAX = 1024


def _require_external(tensor: Tensor, where: Mapping[str, str], folder: Path) -> None:
    file = file_inside(folder, where["location"])
    held = file.stat().st_size - int(where.get("offset", 0))
    require_bytes(tensor.name, min(held, int(where.get("length", held))), tensor.nbytes)
