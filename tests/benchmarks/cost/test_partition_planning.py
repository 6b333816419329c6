"""Large maps are no damage: partitions are planned with the memory that activations take."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from cost_networks import lowered
from torch import nn

from cnn_export.artifact_files import inspection
from cnn_export.benchmarks.artifacts import proven_file
from cnn_export.benchmarks.artifacts.proven_file import artifact_record, proven_files
from cnn_export.errors import InputRefused
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
    monkeypatch.setattr(inspection, "_GB", 2**26)


def test_maps_larger_than_the_files_share_are_planned(
    wide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_a_gigabyte(monkeypatch)
    ((_, found),) = proven_files([wide])
    assert found.split is not None
    assert found.split.partitions == 1
    assert found.unplanned is None


@pytest.mark.skipif(sys.platform != "linux", reason="no other system bounds address space")
def test_what_cannot_be_planned_is_the_manifests_and_said(
    wide: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_a_gigabyte(monkeypatch)
    monkeypatch.setattr(proven_file, "_PLANNING_SHARE", 0)
    ((manifest, found),) = proven_files([wide])
    assert found.graph is not None
    assert found.split is None
    assert found.unplanned is not None
    assert "damaged" not in found.unplanned
    err = capsys.readouterr().err
    assert f"{wide}: its partitions cannot be planned here (" in err
    assert err.endswith("the manifest's are taken\n")
    assert err.count("\n") == 1
    assert artifact_record(manifest, found, wide.name, RUN_ID).partitions == 1


def test_one_process_reads_all_files_of_a_call(
    wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    run_reader = inspection.run_reader

    def counted(reader: str, *arguments: Any, **named: Any) -> Any:
        started.append(reader)
        return run_reader(reader, *arguments, **named)

    monkeypatch.setattr(inspection, "run_reader", counted)
    write_onnx(tmp_path / "small.onnx")
    planned, stated = inspection.inspect([wide, tmp_path / "small.onnx"], planning_bytes=2**30)
    assert (planned.graph.format, stated.graph.format) == ("tflite", "onnx")
    assert (planned.split.delegate, stated.split.delegate) == ("XNNPACK", "CPUExecutionProvider")
    assert len(started) == 1
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(wide.read_bytes()[:100])
    with pytest.raises(InputRefused, match=f"^{re.escape(str(broken))}"):
        inspection.inspect([wide, broken], planning_bytes=2**30)


@pytest.mark.parametrize("planning_bytes", [2**30, 0])
def test_without_copies_each_file_is_read_and_planned_in_a_process_of_its_own(
    wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planning_bytes: int
) -> None:
    without_a_gigabyte(monkeypatch)
    started: list[str] = []
    run_reader = inspection.run_reader

    def counted(reader: str, *arguments: Any, **named: Any) -> Any:
        started.append(f"{reader.partition(':')[2]} {named['path'].name}")
        return run_reader(reader, *arguments, **named)

    monkeypatch.setattr(inspection, "run_reader", counted)
    monkeypatch.setattr(inspection, "COPIES", False)
    write_onnx(tmp_path / "small.onnx")
    planned, stated = inspection.inspect([wide, tmp_path / "small.onnx"], planning_bytes)
    assert stated.split is not None
    assert (planned.split is None, planned.unplanned is None) == (
        (False, True) if planning_bytes else (True, False)
    )
    alone = ["inspections_of wide.tflite", "plans_of wide.tflite", "inspections_of small.onnx"]
    assert [each.replace(wide.name, "wide.tflite") for each in started] == alone
    graphs = inspection.read_graphs([wide, tmp_path / "small.onnx"])
    assert graphs == [planned.graph, stated.graph]
    assert len(started) == 5
