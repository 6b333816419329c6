"""Opset, IR version and what stays inside an ONNX file."""

from __future__ import annotations

from pathlib import Path

import networks
import onnx
import pytest

from cnn_export import export
from cnn_export.errors import UsageError
from cnn_export.targets.onnx.target import OPSETS

SHAPES = {"image": (1, 3, 13, 18)}


def exported(out: Path, **settings: int) -> onnx.ModelProto:
    result = export(networks.small_net(), "onnx", output=out, shapes=SHAPES, **settings)
    return onnx.load(str(result.artifact.path))


@pytest.mark.parametrize("opset", OPSETS)
def test_the_asked_opset_is_written(opset: int, out: Path) -> None:
    model = exported(out, opset=opset)
    assert {entry.version for entry in model.opset_import if not entry.domain} == {opset}
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("ir_version", [8, 9, 10])
def test_the_asked_ir_version_is_written(ir_version: int, out: Path) -> None:
    assert exported(out, ir_version=ir_version).ir_version == ir_version


@pytest.mark.parametrize("ir_version", [2, 99])
def test_an_ir_version_that_does_not_fit_is_refused(ir_version: int, out: Path) -> None:
    with pytest.raises(UsageError, match=f"--ir-version {ir_version}"):
        exported(out, ir_version=ir_version)
    assert list(out.iterdir()) == []


def test_names_and_metadata(out: Path) -> None:
    model = exported(out)
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["output_0", "output_1"]
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["model"] == "SmallNet"
    assert properties["precision"] == "fp32"
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_batch_norm_is_gone_and_activations_are_whole(out: Path) -> None:
    operators = {node.op_type for node in exported(out).graph.node}
    assert "BatchNormalization" not in operators
    assert {"Conv", "Clip", "Sigmoid"} <= operators
