from __future__ import annotations

from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx


@pytest.fixture
def affine_onnx(tmp_path: Path) -> Path:
    path = tmp_path / "affine.onnx"
    write_onnx(path)
    save_manifest(path, manifest_of(path, "onnx"))
    return path
