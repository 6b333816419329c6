"""Interrupt a run and complete it: what counts, what is measured again, what is no such run."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_device import DEVICE, ScriptedDevice, good_outcome
from scripted_run import of_kind, perform, records_of

from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.read_series import results_of
from cnn_export.benchmarks.run.run_request import Request
from cnn_export.errors import (
    DestinationError,
    DeviceUnfit,
    Interrupted,
    UsageError,
)


@pytest.mark.parametrize("stop_after", [0, 1, 5, 15])
def test_an_interrupted_run_is_completed_without_repeating(
    request_: Request, stop_after: int
) -> None:
    with pytest.raises(Interrupted, match=f"{stop_after} of 16 processes are kept .*--resume"):
        perform(request_, ScriptedDevice({stop_after: KeyboardInterrupt()}))
    device = ScriptedDevice()
    finished = perform(dataclasses.replace(request_, resume=True, seed=None), device)
    assert len(device.jobs) == 16 - stop_after
    assert finished.processes == 16
    whole = request_.out.with_name("whole.jsonl")
    perform(dataclasses.replace(request_, out=whole), ScriptedDevice())
    assert _without_run_id(request_.out) == _without_run_id(whole)


def _without_run_id(path: Path) -> list[dict[str, Any]]:
    """What was measured; who was interrupted tells of it in its endings besides."""
    hidden = {"run_id", "started_at"}
    return [
        record.model_dump(exclude=hidden)
        for record in records_of(path)
        if not isinstance(record, record_types.Ending)
    ]


def test_resuming_a_complete_run_measures_nothing(request_: Request) -> None:
    perform(request_, ScriptedDevice())
    before = request_.out.read_bytes()
    device = ScriptedDevice()
    perform(dataclasses.replace(request_, resume=True), device)
    assert device.jobs == []
    assert request_.out.read_bytes() == before


def test_resume_takes_the_last_run_and_leaves_others_alone(request_: Request) -> None:
    perform(dataclasses.replace(request_, repeats=1), ScriptedDevice())
    with pytest.raises(Interrupted):
        perform(request_, ScriptedDevice({2: KeyboardInterrupt()}))
    finished = perform(dataclasses.replace(request_, resume=True), ScriptedDevice())
    assert len({record.run_id for record in finished.records}) == 1
    assert len(of_kind(request_.out, record_types.Run)) == 2
    assert len(of_kind(request_.out, record_types.Repeat)) == 4 + 12


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"repeats": 4}, "repeats 3, this command 4"),
        ({"threads": (1,)}, "threads"),
        ({"seed": 6}, "seed 5, this command 6"),
        ({"min_time_s": 2.0}, "min_time_s 1.0, this command 2.0"),
        ({"compare": True}, "compare False, this command True"),
        ({"cpus": (0,)}, "cpus"),
        ({"runtime_args": ("arena=off",)}, "runtime_args"),
    ],
)
def test_another_plan_is_not_resumed(
    request_: Request, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Interrupted):
        perform(request_, ScriptedDevice({1: KeyboardInterrupt()}))
    with pytest.raises(UsageError, match=f"the run to resume has {field}"):
        perform(dataclasses.replace(request_, resume=True, **changes), ScriptedDevice())


def test_other_artifacts_are_not_resumed(request_: Request) -> None:
    perform(request_, ScriptedDevice())
    changed = dataclasses.replace(request_, resume=True, artifacts=request_.artifacts[::-1])
    with pytest.raises(UsageError, match="has artifacts"):
        perform(changed, ScriptedDevice())


def test_another_device_does_not_resume(request_: Request) -> None:
    perform(request_, ScriptedDevice())
    device = ScriptedDevice()
    device.facts = DEVICE.model_copy(update={"cpus": 1})
    with pytest.raises(DeviceUnfit, match="cpus 2, now 1"):
        perform(dataclasses.replace(request_, resume=True), device)


def test_there_must_be_something_to_resume(request_: Request) -> None:
    resumed = dataclasses.replace(request_, resume=True)
    with pytest.raises(UsageError, match=r"there is no .*r\.jsonl to resume"):
        perform(resumed, ScriptedDevice())
    assert not request_.out.exists()
    request_.out.write_text('{"cnn_bench":"torn\n')
    with pytest.raises(UsageError, match="holds no run"):
        perform(resumed, ScriptedDevice())


Lines = list[str]


def _edit(path: Path, change: Callable[[Lines], Lines]) -> None:
    """Change what a run left that was killed before it could tell how it ended."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(change([line for line in lines if '"ending"' not in line])))


def _again(lines: Lines) -> Lines:
    return [*lines, lines[-1]]


def _foreign(lines: Lines) -> Lines:
    return [*lines[:9], "noise\n", *lines[9:]]


def _beyond(lines: Lines) -> Lines:
    return [*lines, lines[-1].replace('"repeat":2', '"repeat":3')]


def _unknown(lines: Lines) -> Lines:
    return [*lines, re.sub('"artifact":".{64}"', f'"artifact":"{"f" * 64}"', lines[-1])]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_again, "has two 'repeat' lines"),
        (_foreign, "line 10 (no record of cnn-bench)"),
        (_beyond, "a 'repeat' line is not of the plan"),
        (_unknown, "which no 'artifact' line"),
    ],
)
def test_lines_that_are_no_part_of_the_plan_do_not_count(
    request_: Request, change: Callable[[Lines], Lines], told: str
) -> None:
    perform(request_, ScriptedDevice())
    _edit(request_.out, change)
    device = ScriptedDevice()
    finished = perform(dataclasses.replace(request_, resume=True), device)
    (line,) = finished.left_out
    assert device.jobs == []
    assert told in line
    assert [len(each.processes) for each in results_of(finished.records, "r").series] == [3] * 4


def test_a_damaged_process_is_measured_again(request_: Request) -> None:
    """Two lines that ran into each other: neither counts."""

    def interleave(lines: Lines) -> Lines:
        return [*lines[:-2], lines[-2][:90], lines[-1], lines[-2][90:]]

    perform(request_, ScriptedDevice())
    _edit(request_.out, interleave)
    device = ScriptedDevice()
    finished = perform(dataclasses.replace(request_, resume=True), device)
    assert len(device.jobs) == 2
    assert len(finished.left_out) == 2
    assert [len(each.processes) for each in results_of(finished.records, "r").series] == [3] * 4


def test_another_version_of_a_runtime_does_not_resume(request_: Request) -> None:
    def newer(job: Any) -> Any:
        outcome = good_outcome(job)
        hellos = tuple(
            hello.model_copy(update={"version": "1.3"}) for hello in outcome.session.hellos
        )
        return dataclasses.replace(
            outcome, session=dataclasses.replace(outcome.session, hellos=hellos)
        )

    with pytest.raises(Interrupted):
        perform(request_, ScriptedDevice({5: KeyboardInterrupt()}))
    before = request_.out.read_bytes()
    resumed = dataclasses.replace(request_, resume=True)
    with pytest.raises(UsageError, match=r"begun with onnxruntime 1\.2, there is 1\.3 now"):
        perform(resumed, ScriptedDevice({0: newer}))
    assert request_.out.read_bytes() == before
    assert perform(resumed, ScriptedDevice()).processes == 16


def test_a_full_disk_says_what_is_kept_and_how_to_go_on(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.write

    def write(descriptor: int, data: bytes) -> int:
        return whole(descriptor, data[:20] if b'"repeat":2' in data else data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(
        DestinationError, match=r"free space; 12 of 16 processes are kept .*--resume"
    ):
        perform(request_, ScriptedDevice())
    monkeypatch.undo()
    assert perform(dataclasses.replace(request_, resume=True), ScriptedDevice()).processes == 16
