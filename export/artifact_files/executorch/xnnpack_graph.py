"""Read the XNNPACK graph inside a delegate's payload: its nodes, values and weights."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cnn_export.artifact_files import macs
from cnn_export.artifact_files.flatbuffers.schema import Schema, parse_schema
from cnn_export.artifact_files.flatbuffers.table import Table, root_table
from cnn_export.artifact_files.malformed import require_bytes
from cnn_export.artifact_files.op_graph import Op, Tensor, at_batch_one, kinds_by_category
from cnn_export.errors import InputRefused

_MAGIC = b"XH00"
_EXTERNAL_INPUT, _EXTERNAL_OUTPUT = 1, 2
_NO_VALUE = 2**32 - 1
_IN_PAYLOAD_NOWHERE = 2**64 - 1
_READ = (
    *("input_id", "input1_id", "input2_id", "input3_id", "input4_id", "input5_id"),
    *("filter_id", "bias_id", "query_id", "key_id", "value_id", "scale_id", "mask_id"),
)
"""Fields that name what a node reads; a table has those that it needs."""
_WRITTEN = ("output_id", "output_value_id", "output_index_id")
_DTYPES = (
    *("invalid", "float32", "float16", "int8", "uint8", "int32", "int8", "int32"),
    *("int4", "int8", "int4", "int8", "int32", "float32", "bfloat16"),
)
"""``XNNDatatype`` by number; scales and zero points stand beside the elements."""

_KINDS = kinds_by_category(
    {
        "elementwise": "Add Subtract Multiply Div Minimum Maximum",
        "activation": (
            "Softmax Sigmoid Clamp Floor SquareRoot Ceiling Hardswish LeakyReLU Negate Square ELU "
            "Abs PReLU ReciprocalSquareRoot Log Gelu Tanh Exp Sin Cos"
        ),
        "pool": "AvgPooling2d MaxPooling2d GlobalAvgPooling2d ArgMaxPooling2d",
        "copy": "Concatenate2 Concatenate3 Concatenate4 Concatenate5 Copy StaticResizeBilinear2D",
        "layout": "StaticTranspose",
        "padding": "StaticConstantPad",
        "window": "StaticSlice",
        "view": "StaticReshape",
        "conversion": "Convert",
    }
)


@dataclasses.dataclass(frozen=True)
class Payload:
    """One delegate call. ``arguments`` are the caller's tensors by external id.

    ``named_sizes`` gives the bytes of the program's data segments by name.
    """

    data: memoryview
    partition: int
    arguments: Sequence[str]
    batch_bound: int | None
    named_sizes: Mapping[str, int]


@functools.cache
def graph_schema(executorch: Path) -> Schema:
    """Return the schema of the payload, which the wheel at ``executorch`` carries."""
    folder = executorch / "backends" / "xnnpack" / "serialization"
    return parse_schema((folder / "runtime_schema.fbs").read_text())


def read_payload(payload: Payload, executorch: Path) -> tuple[dict[str, Tensor], list[Op]]:
    """Return the values by key and the nodes in order.

    Raises:
        InputRefused: the header is unknown, or a weight's data is short.
        ValueError: the graph is damaged.
    """
    if bytes(payload.data[4:8]) != _MAGIC:
        raise InputRefused("an XNNPACK payload has an unknown header; use a matching executorch")
    start = int.from_bytes(payload.data[10:14], "little")
    graph = root_table(graph_schema(executorch), "XNNGraph", payload.data[start:])
    constants = graph["constant_data"]
    tensors: dict[int, tuple[str, Tensor]] = {}
    for entry in graph["xvalues"]:
        value = entry["xvalue_union"]
        value = value["tensor_value"] if value.name == "XNNQuantizedTensorValue" else value
        tensors[value["id_out"]] = _value(value, payload, constants)
    by_id = {number: key for number, (key, _) in tensors.items()}
    by_key = dict(tensors.values())
    nodes = (node["xnode_union"] for node in graph["xnodes"])
    return by_key, [
        _node(node, index, payload.partition, by_id, by_key) for index, node in enumerate(nodes)
    ]


def _value(value: Table, payload: Payload, constants: Sequence[Table]) -> tuple[str, Tensor]:
    number, buffer = value["id_out"], value["constant_buffer_idx"]
    sizes: tuple[int, ...] = value["dims"]
    if not buffer:
        sizes = at_batch_one(sizes, payload.batch_bound)
    tensor = Tensor(f"xnn_{number}", sizes, _DTYPES[value["datatype"]], bool(buffer))
    if buffer and constants:
        held = constants[buffer]
        size = held["size"]
        if held["offset"] == _IN_PAYLOAD_NOWHERE:
            size = payload.named_sizes[held["named_key"]]
        require_bytes(tensor.name, size, tensor.nbytes)
    if value["flags"] & (_EXTERNAL_INPUT | _EXTERNAL_OUTPUT):
        return str(payload.arguments[value["external_id"]]), tensor
    return f"partition_{payload.partition}/{number}", tensor


def _node(
    node: Table,
    index: int,
    partition: int,
    by_id: Mapping[int, str],
    tensors: Mapping[str, Tensor],
) -> Op:
    kind = node.name.removeprefix("XNN")
    fields = node.schema.tables[node.type]
    read = [node[name] for name in _READ if name in fields]
    if kind.startswith("Concatenate"):
        read = read[: int(kind.removeprefix("Concatenate"))]
    inputs = tuple(by_id[number] for number in read if number != _NO_VALUE)
    outputs = tuple(by_id[node[name]] for name in _WRITTEN if name in fields)
    count = _COUNTERS.get(kind)
    return Op(
        name=f"{partition}:{kind}_{index}",
        kind=kind,
        category="contraction" if count else _KINDS.get(kind, "unknown"),
        inputs=inputs,
        outputs=outputs,
        macs=_macs(kind, [tensors[key].shape for key in (*inputs, *outputs)]),
        partition=partition,
    )


def _macs(kind: str, shapes: list[tuple[int, ...]]) -> int | None:
    if kind in _COUNTERS:
        return _COUNTERS[kind](shapes)
    return 0 if kind in _KINDS else None


def _deconvolution(source: tuple[int, ...], weight: tuple[int, ...]) -> int:
    """Count a transposed convolution with a filter (out, height, width, in/groups)."""
    groups = max(source[-1] // weight[-1], 1)
    return macs.transposed_convolution(source, (weight[0] // groups, *weight[1:3]))


_COUNTERS: dict[str, Callable[[list[tuple[int, ...]]], int]] = {
    # Filters lie as (out, height, width, in), a depthwise one as (1, height, width, out).
    "Conv2d": lambda s: macs.convolution(s[-1], s[1][1:]),
    "DepthwiseConv2d": lambda s: macs.convolution(s[-1], s[1][1:3]),
    "ConvTranspose2d": lambda s: _deconvolution(s[0], s[1]),
    "FullyConnected": lambda s: macs.matrix_product(s[-1], s[0][-1]),
    "BatchMatrixMultiply": lambda s: macs.matrix_product(s[-1], s[0][-1]),
    "ScaledDotProductAttention": lambda s: macs.attention(s[0], s[1], s[2]),
}
"""From the shapes of inputs and outputs, in order."""
