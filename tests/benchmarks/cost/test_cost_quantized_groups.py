"""Groups of dequantize → operator → quantize: which become one, on graphs of a few operators."""

from __future__ import annotations

import dataclasses

import pytest

from cnn_export.artifact_files.onnx.quantized_groups import fuse_quantized_groups
from cnn_export.artifact_files.op_graph import Op, OpGraph, Tensor


def chain(*between: str, outputs: tuple[str, ...] = ("q",), kind: str = "Conv") -> OpGraph:
    """DequantizeLinear → ``kind`` → what stands ``between`` → QuantizeLinear."""
    ops = [
        Op("dequantize", "DequantizeLinear", "conversion", ("x",), ("f",)),
        Op("op", kind, "contraction", ("f",), ("r0",), 7),
        *(
            Op(name, name, "activation", (f"r{i}",), (f"r{i + 1}",))
            for i, name in enumerate(between)
        ),
        Op("quantize", "QuantizeLinear", "conversion", (f"r{len(between)}",), ("q",)),
    ]
    keys = {"x", *(key for op in ops for key in op.outputs)}
    tensors = {key: Tensor(key, (4,), "int8" if key in "xq" else "float32") for key in keys}
    return OpGraph("onnx", tensors, tuple(ops), ("x",), outputs)


def kinds(graph: OpGraph) -> list[str]:
    return [op.kind for op in fuse_quantized_groups(graph).ops]


@pytest.mark.parametrize("clamp", [(), ("Relu",), ("Clip",)])
def test_a_whole_group_is_one_operator_on_integers(clamp: tuple[str, ...]) -> None:
    (op,) = fuse_quantized_groups(chain(*clamp)).ops
    assert (op.kind, op.inputs, op.outputs, op.macs) == ("Conv", ("x",), ("q",), 7)


def test_what_no_range_does_by_itself_stays() -> None:
    for between in (("Relu", "Clip"), ("HardSwish",), ("Relu", "HardSwish")):
        assert len(kinds(chain(*between))) == 3 + len(between)
    assert len(kinds(chain(kind="Erf"))) == 3


def test_a_second_reader_keeps_the_float_result() -> None:
    graph = chain()
    other = Op("other", "Sqrt", "activation", ("r0",), ("s",))
    tensors = {**graph.tensors, "s": Tensor("s", (4,), "float32")}
    read = dataclasses.replace(graph, ops=(*graph.ops, other), tensors=tensors, outputs=("q", "s"))
    assert kinds(read) == ["DequantizeLinear", "Conv", "QuantizeLinear", "Sqrt"]


def test_a_result_of_the_network_keeps_its_float() -> None:
    assert len(kinds(chain(outputs=("q", "r0")))) == 3


def test_a_float_neighbour_keeps_the_operator_in_float() -> None:
    graph = chain()
    ops = (graph.ops[0], dataclasses.replace(graph.ops[1], inputs=("f", "b")), graph.ops[2])
    tensors = {**graph.tensors, "b": Tensor("b", (4,), "float32", constant=True)}
    assert len(kinds(dataclasses.replace(graph, ops=ops, tensors=tensors))) == 3


def test_a_dequantization_that_others_read_stays() -> None:
    graph = dataclasses.replace(chain(), outputs=("q", "f"))
    assert kinds(graph) == ["DequantizeLinear", "Conv"]
