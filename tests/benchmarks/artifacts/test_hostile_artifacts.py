"""Artifacts that are right by their hash and hostile to the runtime that loads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from affine_artifact import manifest_of, save_manifest
from onnx import TensorProto, helper

from cnn_export.benchmarks.cli import main
from cnn_export.manifest.manifest import Manifest

TERABYTE = np.array([2**20, 2**18], np.int64)
FAST = ("--repeats", "1", "--min-time", "10ms", "--quiet")


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """200 bytes that ask for a terabyte when they run."""
    path = tmp_path / "bomb.onnx"
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 3, 5]) for n in "xy"]
    shape = onnx.numpy_helper.from_array(TERABYTE, "shape")
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [shape])
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    manifest = manifest_of(path, "onnx").model_dump()
    manifest["partitions"]["delegated_ops"] = len(nodes)
    save_manifest(path, Manifest.model_validate(manifest))
    return path


def test_memory_that_there_is_not_costs_one_artifact_and_the_run_goes_on(
    bomb: Path, affine_onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = bomb.with_name("r.jsonl")
    code = main(["run", str(bomb), str(affine_onnx), *FAST, "--out", str(out)])
    err = capsys.readouterr().err
    assert code == 4
    assert f"onnxruntime cannot run {bomb}" in err.splitlines()[-1]
    lines = out.read_text().splitlines()
    assert any('"cnn_bench":"repeat"' in line for line in lines)
    assert any('"cnn_bench":"ending"' in line and '"failed"' in line for line in lines)


def test_weights_in_other_files_are_covered_by_no_manifest(
    affine_onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They could be changed after the proof, and the hash would not tell."""
    model = onnx.load(affine_onnx)
    onnx.save(model, affine_onnx, save_as_external_data=True, location="w.bin", size_threshold=0)
    save_manifest(affine_onnx, manifest_of(affine_onnx, "onnx"))
    out = affine_onnx.with_name("r.jsonl")
    assert main(["run", str(affine_onnx), *FAST, "--out", str(out)]) == 4
    assert "keeps weights in other files" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="no other system bounds a process's data")
def test_a_worker_may_take_no_more_than_the_machine_has() -> None:
    program = (
        "from cnn_export.benchmarks.worker.process_memory import bound; bound(300_000_000)\n"
        "try: bytearray(400_000_000)\n"
        "except MemoryError: print('bounded')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"bounded"
