from __future__ import annotations

from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from exported import made_once
from small_artifacts import export_all, exported_to


@pytest.fixture
def affine_onnx(tmp_path: Path) -> Path:
    path = tmp_path / "affine.onnx"
    write_onnx(path)
    save_manifest(path, manifest_of(path, "onnx"))
    return path


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small network in every format, proven, with manifests."""
    return exported_to(made_once(tmp_path_factory, "whole", export_all))
