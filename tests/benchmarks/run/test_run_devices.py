"""One call on one device or several: side by side, one file, nothing lost when one of them is."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from scripted_device import Answer, ScriptedDevice, good_outcome, press_interrupt

from cnn_export.benchmarks.devices.contract import Job, Outcome
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.plan.coverage import Coverage
from cnn_export.benchmarks.results.read_series import read_results
from cnn_export.benchmarks.results.results_file import BadLine, read_records
from cnn_export.benchmarks.run.run_job import perform
from cnn_export.benchmarks.run.run_request import Finished, Request
from cnn_export.errors import (
    DeviceLost,
    DeviceUnfit,
    ExportError,
    InputRefused,
    Interrupted,
    UsageError,
)

FLAGGED = functools.partial(good_outcome, flags=("others_busy",))


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


def _ending(
    request: Request, devices: list[ScriptedDevice]
) -> tuple[ExportError | None, Finished | None]:
    """Perform; return what the command ends with, and what was run."""
    try:
        finished = perform(request, devices)
    except ExportError as error:
        return error, None
    return finished.first_failure(request.out), finished


def _failure(finished: Finished, request: Request) -> ExportError:
    failure = finished.first_failure(request.out)
    assert failure is not None
    return failure


@dataclasses.dataclass(frozen=True)
class Case:
    """What befalls the first device of a call; the others do all that is asked.

    ``told`` is what is said of it, ``kept`` how many of its 8 processes; ``None``: it had no run.
    """

    told: str
    exit_code: int
    kept: int | None
    answers: dict[int, Answer | BaseException] = dataclasses.field(
        default_factory=dict[int, Answer | BaseException]
    )
    strict: bool = False
    unfit: tuple[str, ...] = ()
    unready: ExportError | None = None
    unprepared: ExportError | None = None


NOT_FIT = "the device is not fit: hot (--strict); nothing was run"
CASES = {
    "lost": Case("phone A is gone", 12, 3, {3: DeviceLost("phone A is gone")}),
    # The first of six timed processes: its artifact is given up, the other's three are measured.
    "failed process": Case(": no such op", 4, 5, {2: InputRefused("no such op")}),
    "flagged": Case(", repeat 0: others_busy (--strict)", 12, 3, {2: FLAGGED}, strict=True),
    "not there": Case("not connected", 12, None, unready=DeviceLost("not connected")),
    "unfit": Case(NOT_FIT, 12, None, strict=True, unfit=("hot",)),
    "held": Case("another run holds it", 12, None, unprepared=DeviceUnfit("another run holds it")),
    "wrong option": Case("no such mode", 2, None, unprepared=UsageError("no such mode")),
}
COUNTS = [1, 3]


def test_a_file_that_no_process_takes_is_not_resumed(request_: Request) -> None:
    refused = {index: InputRefused("is for ARM64") for index in range(8)}
    failure, _ = _ending(request_, [_device("A", refused)])
    assert failure is not None
    assert str(failure).endswith(f"0 of 8 processes are kept in {request_.out}")


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_befalls_a_device_is_told_alike_and_all_else_is_kept(
    request_: Request, case: Case, count: int
) -> None:
    request = dataclasses.replace(request_, strict=case.strict)
    first = _device("A", dict(case.answers), unfit=case.unfit)
    first.unready, first.unprepared = case.unready, case.unprepared
    failure, finished = _ending(request, [first, *map(_device, "BCDE"[: count - 1])])
    assert failure is not None
    assert failure.exit_code == case.exit_code
    done, total = (case.kept or 0) + 8 * (count - 1), 8 * (count - (case.kept is None))
    suffix = f"; {done} of {total} processes are kept in {request.out}; go on with the same command"
    told = str(failure)
    assert told.startswith("A: ") is (count > 1)
    assert f"{case.told}{suffix if total else ''}" in told
    assert (finished is None) is (total == 0)
    measured = _records(request_.out, record_types.Memory) if request_.out.exists() else []
    measured += _records(request_.out, record_types.Repeat) if request_.out.exists() else []
    assert len(measured) == done
    if total == 0:
        return
    again = dataclasses.replace(request_, resume=True)
    if case.told.startswith(", repeat"):
        again = dataclasses.replace(again, strict=False)
    assert _ending(again, [_device(name) for name in "ABCDE"[:count]])[0] is None
    assert len(_records(request_.out, record_types.Repeat)) == 6 * count


@pytest.mark.parametrize("count", COUNTS)
def test_all_goes_well(request_: Request, count: int) -> None:
    devices = [_device(name) for name in "ABC"[:count]]
    assert _ending(request_, devices)[0] is None
    assert all(device.calls == ["ready", "back"] for device in devices)
    runs = _records(request_.out, record_types.Run)
    assert {run.device.id for run in runs} == set("ABC"[:count])
    groups = {(run.group is None, tuple(run.group_devices or ())) for run in runs}
    assert groups == {(True, ()) if count == 1 else (False, tuple("ABC"[:count]))}
    assert len({run.group for run in runs}) == 1


@pytest.mark.parametrize("count", COUNTS)
def test_an_interruption_stops_all_and_keeps_everything(request_: Request, count: int) -> None:
    """Ctrl-C once every device is in its fourth process, which then would never end."""
    together = threading.Barrier(count, timeout=20)
    devices = [_device(name) for name in "ABC"[:count]]

    def hanging(device: ScriptedDevice) -> Answer:
        def hang(job: Job) -> Outcome:
            if together.wait() == 0:
                press_interrupt()
            return device.until_stopped(job)

        return hang

    for device in devices:
        device.answers[3] = hanging(device)
    failure, _ = _ending(request_, devices)
    assert failure is not None
    assert failure.exit_code == 130
    told = "interrupted" if count == 1 else "A: interrupted; B: interrupted; C: interrupted"
    assert str(failure).startswith(f"{told}; {3 * count} of {8 * count} processes are kept")
    assert all(device.calls == ["ready", "back"] for device in devices)
    kept = _records(request_.out, record_types.Memory), _records(request_.out, record_types.Repeat)
    assert list(map(len, kept)) == [2 * count, count]
    endings = _records(request_.out, record_types.Ending)
    assert {each.reason for each in endings if each.outcome == "lost"} == {"interrupted"}


@pytest.mark.parametrize("count", COUNTS)
def test_an_interruption_before_the_runs_begins_none(
    request_: Request, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The devices are still being looked at: nothing is changed there, no run is written."""
    together = threading.Barrier(count, timeout=20)
    devices = [_device(name) for name in "ABC"[:count]]

    def looking(device: ScriptedDevice) -> Callable[[], record_types.Device]:
        def look() -> record_types.Device:
            if together.wait() == 0:
                press_interrupt()
            assert device.stopped.wait(20)
            return device.facts

        return look

    for device in devices:
        monkeypatch.setattr(device, "describe", looking(device))
    with pytest.raises(Interrupted, match="nothing was run"):
        perform(request_, devices)
    assert not request_.out.exists()
    assert [device.calls for device in devices] == [[]] * count


def test_no_device_at_all_names_every_one(request_: Request) -> None:
    devices = [_device("A"), _device("B")]
    for device in devices:
        device.unprepared = DeviceUnfit(f"{device.name} is held")
    with pytest.raises(DeviceUnfit, match=r"^A: A is held; B: B is held; nothing was run$"):
        perform(request_, devices)


def test_each_device_has_a_run_of_its_own_in_one_file(request_: Request) -> None:
    devices = [_device("A"), _device("B"), _device("C")]
    finished = perform(request_, devices)
    assert finished.first_failure(request_.out) is None
    runs = _records(request_.out, record_types.Run)
    assert {run.device.id for run in runs} == {"A", "B", "C"}
    assert len({run.run_id for run in runs}) == 3
    assert len({run.group for run in runs}) == 1
    counts = Counter(repeat.run_id for repeat in _records(request_.out, record_types.Repeat))
    assert set(counts.values()) == {6}
    assert all(device.calls == ["ready", "back"] for device in devices)
    settings = [series.setting.device.id for series in read_results(request_.out).series]
    assert sorted(settings) == ["A", "A", "B", "B", "C", "C"]


def test_they_run_side_by_side(request_: Request) -> None:
    together = threading.Barrier(2, timeout=20)

    def meet(job: Job) -> Outcome:
        together.wait()
        return good_outcome(job)

    devices = [_device(name, dict.fromkeys(range(8), meet)) for name in "AB"]
    assert perform(request_, devices).first_failure(request_.out) is None


def test_one_devices_loss_stops_no_other_and_is_named(request_: Request) -> None:
    devices = [_device("A", {3: DeviceLost("phone A is gone")}), _device("B")]
    finished = perform(request_, devices)
    failure = _failure(finished, request_)
    assert failure.exit_code == 12
    assert str(failure).startswith("A: phone A is gone; 11 of 16 processes are kept in")
    assert len(devices[1].jobs) == 8
    again = [_device("A"), _device("B")]
    resumed = perform(dataclasses.replace(request_, resume=True, seed=None), again)
    assert resumed.first_failure(request_.out) is None
    assert (len(again[0].jobs), len(again[1].jobs)) == (5, 0)
    assert len(_records(request_.out, record_types.Run)) == 2
    assert len(_records(request_.out, record_types.Repeat)) == 12


def test_one_device_of_a_call_may_be_resumed_by_itself(request_: Request) -> None:
    perform(request_, [_device("A", {2: DeviceLost("gone")}), _device("B", {4: DeviceLost("x")})])
    device = _device("A")
    perform(dataclasses.replace(request_, resume=True), [device])
    assert len(device.jobs) == 6
    other = _device("B")
    perform(dataclasses.replace(request_, resume=True), [_device("A"), other])
    assert len(other.jobs) == 4
    assert len(_records(request_.out, record_types.Repeat)) == 12


def test_a_device_that_was_not_there_joins_when_resuming(request_: Request) -> None:
    perform(request_, [_device("A"), _device("B")])  # an older call, which is complete
    absent = _device("B")
    absent.unready = DeviceLost("phone B is not connected")
    finished = perform(request_, [_device("A"), absent])
    assert str(_failure(finished, request_)).startswith("B: phone B is not connected; 8 of 8")
    missing = Coverage(_records(request_.out)).missing()
    assert {(part.run.device.id, part.outcome, part.kept) for part in missing} == {("B", "lost", 0)}
    assert (len(missing), all(part.resumable for part in missing)) == (4, True)
    joined = _device("B")
    resumed = perform(dataclasses.replace(request_, resume=True), [_device("A"), joined])
    assert resumed.first_failure(request_.out) is None
    assert len(joined.jobs) == 8
    assert not Coverage(_records(request_.out)).missing()
    groups = [run.group for run in _records(request_.out, record_types.Run)]
    assert groups[0] == groups[1] != groups[2] == groups[3]


def test_a_lost_device_counts_before_a_failed_process(request_: Request) -> None:
    devices = [_device("A", {5: InputRefused("bad")}), _device("B", {5: DeviceLost("gone")})]
    assert _failure(perform(request_, devices), request_).exit_code == 12


def test_a_device_twice_is_refused(request_: Request) -> None:
    with pytest.raises(UsageError, match="names A twice"):
        perform(request_, [_device("A"), _device("A")])


def test_resuming_needs_a_run_on_several_devices(request_: Request) -> None:
    perform(request_, [_device("A")])
    with pytest.raises(UsageError, match="holds no run on several of these devices"):
        perform(dataclasses.replace(request_, resume=True), [_device("A"), _device("B")])


def test_a_bug_in_one_thread_is_not_lost(request_: Request) -> None:
    with pytest.raises(ZeroDivisionError):
        perform(request_, [_device("A", {2: ZeroDivisionError()}), _device("B")])
    assert len(_records(request_.out, record_types.Repeat)) >= 6


def test_lines_of_many_threads_stay_whole(request_: Request) -> None:
    devices = [_device(f"phone {n}") for n in range(8)]
    perform(request_, devices)
    assert len(_records(request_.out, record_types.Run)) == 8
    assert len(_records(request_.out, record_types.Repeat)) == 48
