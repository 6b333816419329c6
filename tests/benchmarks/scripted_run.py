"""Perform a run on a scripted device, and read what it left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripted_device import ScriptedDevice

from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.results_file import BadLine, read_records
from cnn_export.benchmarks.run import run_job
from cnn_export.benchmarks.run.run_request import DeviceRun, Request


def perform(request: Request, device: ScriptedDevice) -> DeviceRun:
    """Perform, and raise what stopped the run, as the command does after it has told the rest."""
    finished = run_job.perform(request, [device])
    (run,) = finished.runs
    if run.stopped_by is not None and (failure := finished.first_failure(request.out)):
        raise failure
    return run


def records_of(path: Path) -> list[record_types.Record]:
    found = list(read_records(path))
    assert not [line for line in found if isinstance(line, BadLine)]
    return [record for record in found if not isinstance(record, BadLine)]


def of_kind(path: Path, kind: type[Any]) -> list[Any]:
    return [record for record in records_of(path) if isinstance(record, kind)]
