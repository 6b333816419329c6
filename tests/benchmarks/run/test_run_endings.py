"""Every run tells how its parts ended, whatever ends it."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from rich.console import Console
from scripted_device import ScriptedDevice

from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.results.plan.coverage import Coverage
from cnn_export.benchmarks.results.read_series import read_results
from cnn_export.benchmarks.results.record_types import Ending
from cnn_export.benchmarks.results.results_file import read_records
from cnn_export.benchmarks.results.session import IncompleteRun
from cnn_export.benchmarks.run.run_job import perform
from cnn_export.benchmarks.run.run_request import Request
from cnn_export.benchmarks.tables.run_table import render
from cnn_export.errors import ParityError


@pytest.fixture
def request_(affine_onnx: Path, tmp_path: Path) -> Request:
    second = tmp_path / "second.onnx"
    write_onnx(second, ballast=3)
    save_manifest(second, manifest_of(second, "onnx"))
    return Request((affine_onnx, second), tmp_path / "r.jsonl", repeats=6, seed=5)


def _endings(path: Path) -> dict[tuple[str, str], tuple[str, int]]:
    found = [each for each in read_records(path) if isinstance(each, Ending)]
    return {(each.kind, each.artifacts[0]): (each.outcome, each.processes) for each in found}


def test_a_run_with_a_failed_parity_is_no_met_gate(
    request_: Request, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The fourth process computes something else; the other artifact is measured whole."""
    device = ScriptedDevice({3: ParityError("the probe's output is off")})
    finished = perform(request_, [device])
    failure = finished.first_failure(request_.out)
    assert isinstance(failure, ParityError)
    assert sorted(_endings(request_.out).values()) == [
        ("failed", 0), ("measured", 1), ("measured", 1), ("measured", 6),
    ]  # fmt: skip
    (tmp_path / "b.toml").write_text("[[budget]]\nlatency_ms = 1\n")
    assert main(["gate", str(request_.out), "--budgets", str(tmp_path / "b.toml")]) == 10
    assert "failed: the probe's output is off (0 of 6" in capsys.readouterr().err
    (part,) = Coverage(finished.runs[0].records).missing()
    assert part.outcome == "failed"


def test_a_failed_memory_process_gives_up_the_artifact(request_: Request):
    perform(request_, [ScriptedDevice({0: IncompleteRun("killed by signal 11")})])
    assert sorted(_endings(request_.out).values()) == [
        ("failed", 0), ("failed", 0), ("measured", 1), ("measured", 6),
    ]  # fmt: skip


@pytest.mark.parametrize("after", [0, 1, 5, 13])
def test_an_interrupted_run_tells_what_it_lost(request_: Request, tmp_path: Path, after: int):
    device = ScriptedDevice({after: KeyboardInterrupt()})
    finished = perform(request_, [device])
    told = _endings(request_.out)
    assert sum(processes for _, processes in told.values()) == after
    assert len(told) == 4
    assert {part.reason for part in Coverage(finished.runs[0].records).missing()} == {"interrupted"}
    before = (len(list(read_records(request_.out))), after)
    perform(dataclasses.replace(request_, resume=True, seed=None), [ScriptedDevice()])
    assert set(_endings(request_.out).values()) == {("measured", 1), ("measured", 6)}
    assert before[0] < len(list(read_records(request_.out)))
    (tmp_path / "b.toml").write_text("[[budget]]\nlatency_ms = 1\n")
    assert main(["gate", str(request_.out), "--budgets", str(tmp_path / "b.toml")]) == 0


def test_the_runs_own_table_names_what_is_missing(request_: Request):
    perform(request_, [ScriptedDevice({5: KeyboardInterrupt()})])
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(read_results(request_.out)))
    assert "second.onnx at 1 thread on scripted: lost: interrupted" in console.export_text()
