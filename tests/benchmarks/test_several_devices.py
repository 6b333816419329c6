"""Several devices in one call: side by side, one file, nothing lost when one of them is."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from scripted_device import DEVICE, Answer, ScriptedDevice, good_outcome

from cnn_export.benchmarks.devices.contract import Job, Outcome
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.plan_coverage import Coverage
from cnn_export.benchmarks.results.read_series import read_measurements
from cnn_export.benchmarks.results.results_file import BadLine, read_records
from cnn_export.benchmarks.run.run_job import perform
from cnn_export.benchmarks.run.run_request import Request
from cnn_export.benchmarks.run.several_devices import AllFinished, perform_all
from cnn_export.benchmarks.tables.run_summary import time_rows
from cnn_export.errors import (
    DeviceLost,
    DeviceUnfit,
    ExportError,
    InputRefused,
    Interrupted,
    UsageError,
)


@pytest.fixture
def request_(affine_onnx: Path, tmp_path: Path) -> Request:
    second = tmp_path / "second.onnx"
    write_onnx(second, ballast=3)
    save_manifest(second, manifest_of(second, "onnx"))
    return Request((affine_onnx, second), tmp_path / "r.jsonl", repeats=3, seed=5)


def _device(
    name: str, answers: dict[int, Answer | BaseException] | None = None, **more: Any
) -> ScriptedDevice:
    device = ScriptedDevice(answers, **more)
    device.facts = device.facts.model_copy(update={"id": name, "kind": "adb"})
    return device


def _records(path: Path, kind: type[Any] = object) -> list[Any]:
    found = list(read_records(path))
    assert not [line for line in found if isinstance(line, BadLine)]
    return [record for record in found if isinstance(record, kind)]


def _failure(finished: AllFinished, request: Request) -> ExportError:
    failure = finished.first_failure(request.out)
    assert failure is not None
    return failure


def test_each_device_has_a_run_of_its_own_in_one_file(request_: Request) -> None:
    devices = [_device("A"), _device("B"), _device("C")]
    finished = perform_all(request_, devices)
    assert finished.first_failure(request_.out) is None
    runs = _records(request_.out, record_types.Run)
    assert {run.device.id for run in runs} == {"A", "B", "C"}
    assert len({run.run_id for run in runs}) == 3
    assert len({run.group for run in runs}) == 1
    counts = Counter(repeat.run_id for repeat in _records(request_.out, record_types.Repeat))
    assert set(counts.values()) == {6}
    assert all(device.calls == ["ready", "back"] for device in devices)
    assert {row.device for row in time_rows(_records(request_.out))} == {"A", "B", "C"}
    settings = [series.setting.device.id for series in read_measurements(request_.out).series]
    assert sorted(settings) == ["A", "A", "B", "B", "C", "C"]


def test_they_run_side_by_side(request_: Request) -> None:
    together = threading.Barrier(2, timeout=20)

    def meet(job: Job) -> Outcome:
        together.wait()
        return good_outcome(job)

    devices = [_device(name, dict.fromkeys(range(8), meet)) for name in "AB"]
    assert perform_all(request_, devices).first_failure(request_.out) is None


def test_one_devices_loss_stops_no_other_and_is_named(request_: Request) -> None:
    devices = [_device("A", {3: DeviceLost("phone A is gone")}), _device("B")]
    finished = perform_all(request_, devices)
    failure = _failure(finished, request_)
    assert failure.exit_code == 12
    assert str(failure).startswith("A: phone A is gone; 11 of 16 processes are kept in")
    assert len(devices[1].jobs) == 8
    again = [_device("A"), _device("B")]
    resumed = perform_all(dataclasses.replace(request_, resume=True, seed=None), again)
    assert resumed.first_failure(request_.out) is None
    assert (len(again[0].jobs), len(again[1].jobs)) == (5, 0)
    assert len(_records(request_.out, record_types.Run)) == 2
    assert len(_records(request_.out, record_types.Repeat)) == 12


def test_one_device_of_a_call_may_be_resumed_by_itself(request_: Request) -> None:
    perform_all(
        request_, [_device("A", {2: DeviceLost("gone")}), _device("B", {4: DeviceLost("x")})]
    )
    device = _device("A")
    perform(dataclasses.replace(request_, resume=True), device)
    assert len(device.jobs) == 6
    other = _device("B")
    perform_all(dataclasses.replace(request_, resume=True), [_device("A"), other])
    assert len(other.jobs) == 4
    assert len(_records(request_.out, record_types.Repeat)) == 12


def test_a_device_that_was_not_there_joins_when_resuming(request_: Request) -> None:
    perform_all(request_, [_device("A"), _device("B")])  # an older call, which is complete
    absent = _device("B")
    absent.unready = DeviceLost("phone B is not connected")
    finished = perform_all(request_, [_device("A"), absent])
    assert str(_failure(finished, request_)).startswith("B: phone B is not connected; 8 of 8")
    missing = Coverage(_records(request_.out)).missing()
    assert {(part.run.device.id, part.outcome, part.kept) for part in missing} == {("B", "lost", 0)}
    assert (len(missing), all(part.resumable for part in missing)) == (4, True)
    joined = _device("B")
    resumed = perform_all(dataclasses.replace(request_, resume=True), [_device("A"), joined])
    assert resumed.first_failure(request_.out) is None
    assert len(joined.jobs) == 8
    assert not Coverage(_records(request_.out)).missing()
    groups = [run.group for run in _records(request_.out, record_types.Run)]
    assert groups[0] == groups[1] != groups[2] == groups[3]


def test_a_failed_process_of_one_device_is_told_with_its_name(request_: Request) -> None:
    finished = perform_all(request_, [_device("A"), _device("B", {5: InputRefused("no such op")})])
    failure = _failure(finished, request_)
    assert isinstance(failure, InputRefused)
    assert str(failure).startswith("B: ")
    assert "no such op" in str(failure)


def test_a_lost_device_counts_before_a_failed_process(request_: Request) -> None:
    devices = [_device("A", {5: InputRefused("bad")}), _device("B", {5: DeviceLost("gone")})]
    assert _failure(perform_all(request_, devices), request_).exit_code == 12


def test_strict_ends_only_the_device_that_is_unfit(request_: Request) -> None:
    devices = [_device("A", unfit=("hot",)), _device("B")]
    finished = perform_all(dataclasses.replace(request_, strict=True), devices)
    failure = _failure(finished, request_)
    assert isinstance(failure, DeviceUnfit)
    assert str(failure).startswith("A: the device is not fit: hot (--strict)")
    assert (len(devices[0].jobs), len(devices[1].jobs)) == (0, 8)


def test_no_device_at_all_writes_nothing(request_: Request) -> None:
    with pytest.raises(DeviceUnfit, match="hot"):
        perform_all(
            dataclasses.replace(request_, strict=True),
            [_device("A", unfit=("hot",)), _device("B", unfit=("hot",))],
        )
    assert not request_.out.exists()


def test_a_device_twice_is_refused(request_: Request) -> None:
    with pytest.raises(UsageError, match="names A twice"):
        perform_all(request_, [_device("A"), _device("A")])


def test_resuming_needs_a_run_on_several_devices(request_: Request) -> None:
    perform(request_, _device("A"))
    with pytest.raises(UsageError, match="holds no run on several of these devices"):
        perform_all(dataclasses.replace(request_, resume=True), [_device("A"), _device("B")])


def test_an_interruption_stops_all_and_keeps_everything(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def hang(_: Job) -> Outcome:
        begun.set()
        assert stopped.wait(20)
        raise Interrupted("interrupted")

    devices = [_device("A", {3: hang}), _device("B", {3: hang})]
    for device in devices:
        monkeypatch.setattr(device, "stop", stopped.set)
    waited = threading.Event.wait

    def interrupted_wait(self: threading.Event, timeout: float | None = None) -> bool:
        here = threading.current_thread() is threading.main_thread()
        # Without a timeout it is `Thread.start` that waits: the other run has not begun.
        if here and timeout is not None and begun.is_set() and not stopped.is_set():
            raise KeyboardInterrupt
        return waited(self, timeout)

    monkeypatch.setattr(threading.Event, "wait", interrupted_wait)
    finished = perform_all(request_, devices)
    failure = _failure(finished, request_)
    assert failure.exit_code == 130
    assert "A: interrupted; B: interrupted; 6 of 16 processes are kept" in str(failure)
    assert (
        len(_records(request_.out, record_types.Memory))
        + len(_records(request_.out, record_types.Repeat))
        == 6
    )


def test_an_interruption_before_the_runs_begins_none(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The devices are still being looked at: nothing is changed there, no run is written."""
    stopped = threading.Event()

    def looked_at() -> record_types.Device:
        assert stopped.wait(20)
        return DEVICE

    devices = [_device("A"), _device("B")]
    for device in devices:
        monkeypatch.setattr(device, "stop", stopped.set)
        monkeypatch.setattr(device, "describe", looked_at)
    waited = threading.Event.wait

    def interrupted_wait(self: threading.Event, timeout: float | None = None) -> bool:
        here = threading.current_thread() is threading.main_thread()
        if here and timeout is not None and not stopped.is_set():
            raise KeyboardInterrupt
        return waited(self, timeout)

    monkeypatch.setattr(threading.Event, "wait", interrupted_wait)
    with pytest.raises(Interrupted, match="nothing was run"):
        perform_all(request_, devices)
    assert not request_.out.exists()
    assert [device.calls for device in devices] == [[], []]


def test_a_bug_in_one_thread_is_not_lost(request_: Request) -> None:
    with pytest.raises(ZeroDivisionError):
        perform_all(request_, [_device("A", {2: ZeroDivisionError()}), _device("B")])
    assert len(_records(request_.out, record_types.Repeat)) >= 6


def test_lines_of_many_threads_stay_whole(request_: Request) -> None:
    devices = [_device(f"phone {n}") for n in range(8)]
    perform_all(request_, devices)
    assert len(_records(request_.out, record_types.Run)) == 8
    assert len(_records(request_.out, record_types.Repeat)) == 48
