"""The tables of operators, against the vendors' own lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cnn_export.artifact_files.executorch import aten_kernels, xnnpack_graph
from cnn_export.artifact_files.onnx import operators as onnx_ops
from cnn_export.artifact_files.tflite import operators as tflite_ops
from cnn_export.command_line.packages import package_folder

NOT_OF_AN_INFERENCE = {
    *("convolution_backward", "max_pool2d_with_indices_backward", "native_dropout"),
    *("rand", "randn", "_cdist_forward", "_pdist_forward", "nonzero"),
    *("_conj_physical", "view_as_real_copy"),
}


def test_every_portable_kernel_of_executorch_is_known() -> None:
    text = (package_folder("executorch") / "kernels/portable/functions.yaml").read_text()
    names = {
        match.partition(".")[0] for match in re.findall(r"- (?:op|func): (?:\w+::)?(\w+)", text)
    }
    assert len(names) > 150
    known = {*aten_kernels._KINDS, *aten_kernels._PRODUCTS, "convolution", "addmm", "linear"}
    assert names - known == NOT_OF_AN_INFERENCE


def test_every_node_of_xnnpack_is_known() -> None:
    schema = xnnpack_graph.graph_schema(package_folder("executorch"))
    nodes = {name.removeprefix("XNN") for name, _ in schema.unions["XNodeUnion"]}
    assert nodes == {*xnnpack_graph._KINDS, *xnnpack_graph._COUNTERS}


def test_no_name_of_the_tables_is_misspelt() -> None:
    onnx = pytest.importorskip("onnx")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    of_onnx = {each.name for each in onnx.defs.get_all_schemas() if each.domain == ""}
    assert {*onnx_ops._KINDS, *onnx_ops._COUNTERS} <= of_onnx
    assert {*tflite_ops._KINDS, *tflite_ops._COUNTERS} <= set(vars(schema.BuiltinOperator))


def test_no_operation_of_the_core_ml_tables_is_misspelt() -> None:
    from cnn_export.artifact_files.coreml import operators

    folder: Path = package_folder("coremltools") / "converters/mil/mil/ops/defs"
    text = "".join(file.read_text() for file in folder.rglob("*.py"))
    named = {*operators._KINDS, *operators._COUNTERS}
    assert {name for name in named if not re.search(rf"\bclass {name}\(", text)} == set()
