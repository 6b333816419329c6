"""Large maps are no damage: partitions are planned with the memory that activations take."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest
from cost_networks import lowered
from torch import nn

from cnn_export.benchmarks.artifacts.proven_file import artifact_record, proven_file
from cnn_export.benchmarks.cost import bounded, inspect
from cnn_export.manifest.manifest import Manifest

RUN_ID = "0" * 16


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of a few bytes with maps of 52 MB, two at a time."""
    layers = (nn.Conv2d(3, 64, 1), nn.Sigmoid(), nn.Conv2d(64, 64, 1), nn.Conv2d(64, 1, 1))
    folder = tmp_path_factory.mktemp("wide")
    path = lowered(nn.Sequential(*layers), "tflite", folder, (1, 3, 449, 453))
    manifest = manifest_of(path, "tflite").model_dump()
    manifest["partitions"]["delegated_ops"] = 6
    save_manifest(path, Manifest.model_validate(manifest))
    return path


def without_a_gigabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the reader what the file takes: maps of gigabytes would take a test's time."""
    monkeypatch.setattr(bounded, "_GB", 2**26)


def test_maps_larger_than_the_files_share_are_planned(
    wide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_a_gigabyte(monkeypatch)
    found = inspect(wide)
    assert found.split is not None
    assert found.split.partitions == 1
    assert found.unplanned is None


@pytest.mark.skipif(sys.platform != "linux", reason="no other system bounds address space")
def test_what_cannot_be_planned_is_the_manifests_and_said(
    wide: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_a_gigabyte(monkeypatch)
    monkeypatch.setattr(bounded, "_ACTIVATIONS", 0)
    manifest, found = proven_file(wide)
    assert found.cost is not None
    assert found.split is None
    assert found.unplanned is not None
    assert "damaged" not in found.unplanned
    err = capsys.readouterr().err
    assert f"{wide}: its partitions cannot be planned here (" in err
    assert err.endswith("the manifest's are taken\n")
    assert err.count("\n") == 1
    assert artifact_record(manifest, found, wide.name, RUN_ID).partitions == 1
