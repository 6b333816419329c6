"""What the tests of a run share."""

from __future__ import annotations

from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx

from cnn_export.benchmarks.run.run_request import Request


@pytest.fixture
def request_(affine_onnx: Path, tmp_path: Path) -> Request:
    """Two artifacts with the same function and different bytes."""
    second = tmp_path / "second.onnx"
    write_onnx(second, ballast=3)
    save_manifest(second, manifest_of(second, "onnx"))
    return Request((affine_onnx, second), tmp_path / "r.jsonl", threads=(1, 2), repeats=3, seed=5)
