"""Begin, interrupt, resume and judge a run, on a device that does as it is told."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from scripted_device import DEVICE, ScriptedDevice, good_outcome, hello_of

from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.read_series import results_of
from cnn_export.benchmarks.results.results_file import BadLine, read_records
from cnn_export.benchmarks.results.session import IncompleteRun
from cnn_export.benchmarks.run import run_job
from cnn_export.benchmarks.run.run_request import DeviceRun, Request
from cnn_export.errors import (
    DestinationError,
    DeviceUnfit,
    InputRefused,
    Interrupted,
    ParityError,
    TargetUnavailable,
    UsageError,
)

FLAGGED = functools.partial(good_outcome, flags=("others_busy",))


@pytest.fixture
def request_(affine_onnx: Path, tmp_path: Path) -> Request:
    """Two artifacts with the same function and different bytes."""
    second = tmp_path / "second.onnx"
    write_onnx(second, ballast=3)
    save_manifest(second, manifest_of(second, "onnx"))
    return Request((affine_onnx, second), tmp_path / "r.jsonl", threads=(1, 2), repeats=3, seed=5)


def perform(request: Request, device: ScriptedDevice) -> DeviceRun:
    """Perform, and raise what stopped the run, as the command does after it has told the rest."""
    finished = run_job.perform(request, [device])
    (run,) = finished.runs
    if run.stopped_by is not None and (failure := finished.first_failure(request.out)):
        raise failure
    return run


def _records(path: Path) -> list[record_types.Record]:
    found = list(read_records(path))
    assert not [line for line in found if isinstance(line, BadLine)]
    return [record for record in found if not isinstance(record, BadLine)]


def _of(path: Path, kind: type[Any]) -> list[Any]:
    return [record for record in _records(path) if isinstance(record, kind)]


def test_every_artifact_is_measured_at_every_number_of_threads(request_: Request) -> None:
    device = ScriptedDevice()
    finished = perform(request_, device)
    assert [record.cnn_bench for record in _records(request_.out)][:3] == [
        "run",
        "artifact",
        "artifact",
    ]
    assert len(_of(request_.out, record_types.Memory)) == 4
    repeats = _of(request_.out, record_types.Repeat)
    counts = Counter((r.artifact, r.threads, r.repeat) for r in repeats)
    assert len(counts) == 2 * 2 * 3
    assert set(counts.values()) == {1}
    assert [r.position for r in repeats] == list(range(4, 16))
    assert repeats[0].samples_ns == [1000, 2000, 3000]
    assert (repeats[0].load_ns, repeats[0].first_ns, repeats[0].warm_up) == (50, 9, 4)
    assert finished.processes == finished.total == 16
    assert finished.failure is None


def test_a_cluster_is_the_cpus_that_the_device_says(request_: Request) -> None:
    device = ScriptedDevice()
    finished = perform(dataclasses.replace(request_, cpus="big", repeats=1), device)
    assert finished.run.cpus == [1]
    assert {job.cpus for job in device.jobs} == {(1,)}


@pytest.mark.parametrize("end", [None, KeyboardInterrupt(), DeviceUnfit("gone")])
def test_a_device_is_made_ready_once_and_put_back_however_it_ends(
    request_: Request, end: BaseException | None
) -> None:
    device = ScriptedDevice({} if end is None else {3: end})
    try:
        perform(request_, device)
    except (Interrupted, DeviceUnfit):
        assert end is not None
    assert device.calls == ["ready", "back"]


def test_a_runtime_that_the_device_lacks_is_named_before_anything_runs(request_: Request) -> None:
    class Bare(ScriptedDevice):
        def require_runtime(self, package: str) -> None:
            raise TargetUnavailable(f"no {package} here")

    device = Bare()
    with pytest.raises(TargetUnavailable, match="no onnxruntime here"):
        perform(request_, device)
    assert not request_.out.exists()
    assert device.calls == device.jobs == []


def test_the_order_comes_from_the_seed_and_each_round_has_all(request_: Request) -> None:
    def order(seed: int) -> list[tuple[Path, int]]:
        device = ScriptedDevice()
        out = request_.out.with_name(f"{seed}-{len(list(request_.out.parent.iterdir()))}.jsonl")
        perform(dataclasses.replace(request_, seed=seed, out=out), device)
        return [(job.artifacts[0], job.threads) for job in device.jobs if job.kind == "time"]

    first = order(1)
    assert all(len(set(first[i : i + 4])) == 4 for i in (0, 4, 8))
    assert first == order(1)
    assert first != order(2)


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
        for record in _records(path)
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
    assert len(_of(request_.out, record_types.Run)) == 2
    assert len(_of(request_.out, record_types.Repeat)) == 4 + 12


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


def test_a_failing_artifact_leaves_the_others_whole(request_: Request) -> None:
    """The fifth process fails; the rest of its artifact at its threads is not tried."""
    device = ScriptedDevice({4: IncompleteRun("killed by signal 11")})
    finished = perform(request_, device)
    assert len(finished.lost) == 1
    assert finished.processes == 16 - 3
    assert isinstance(finished.failure, IncompleteRun)
    assert str(finished.failure).endswith("onnx: killed by signal 11")
    again = perform(dataclasses.replace(request_, resume=True), ScriptedDevice())
    assert again.processes == 16


def test_a_worker_that_ran_something_else_does_not_count(request_: Request) -> None:
    def other_threads(job: Any) -> Any:
        outcome = good_outcome(job)
        hellos = (hello_of(job.artifacts[0], threads=job.threads + 1),)
        return dataclasses.replace(
            outcome, session=dataclasses.replace(outcome.session, hellos=hellos)
        )

    finished = perform(request_, ScriptedDevice({4: other_threads}))
    assert isinstance(finished.failure, InputRefused)
    assert "threads" in str(finished.lost[0].error)


@pytest.mark.parametrize(
    ("place", "changes", "named"),
    [
        ("hello", {"load_ns": 10**16}, "load_ns"),
        ("conditions", {"clock_khz": [-5]}, r"conditions\.clock_khz"),
        ("conditions", {"others_load": float("nan")}, r"conditions\.others_load"),
    ],
)
def test_what_no_record_can_hold_does_not_count(
    request_: Request, place: str, changes: dict[str, Any], named: str
) -> None:
    """Everything else goes on, and what is written can be read."""

    def odd(job: Any) -> Any:
        outcome = good_outcome(job)
        if place == "conditions":
            conditions = outcome.conditions.model_copy(update=changes)
            return dataclasses.replace(outcome, conditions=conditions)
        hellos = tuple(each.model_copy(update=changes) for each in outcome.session.hellos)
        session = dataclasses.replace(outcome.session, hellos=hellos)
        return dataclasses.replace(outcome, session=session)

    finished = perform(request_, ScriptedDevice({4: odd}))
    assert len(finished.lost) == 1
    assert isinstance(finished.lost[0].error, IncompleteRun)
    assert re.search(f"impossible {named}", str(finished.lost[0].error))
    assert finished.processes == 16 - 3
    assert all(record.cnn_bench for record in _records(request_.out))


def test_pairs_swap_their_order_from_process_to_process(request_: Request) -> None:
    device = ScriptedDevice()
    perform(dataclasses.replace(request_, compare=True, repeats=6, threads=(1,)), device)
    pairs = _of(request_.out, record_types.Pair)
    assert [pair.repeat for pair in pairs] == list(range(6))
    orders = [(pair.b_loaded_first, pair.b_first) for pair in pairs]
    assert len(set(orders[:4])) == 4
    assert orders[4:] == orders[:2]
    for one, other in zip(orders[::2], orders[1::2], strict=True):
        assert one == (not other[0], not other[1])
    assert _of(request_.out, record_types.Repeat) == []


def test_a_swapped_process_is_recorded_in_the_order_of_the_plan(request_: Request) -> None:
    """The job's first artifact takes 1, 2 and 3 µs; of the plan, that is the one or the other."""
    device = ScriptedDevice()
    perform(dataclasses.replace(request_, compare=True, repeats=4, threads=(1,)), device)
    for pair, job in zip(_of(request_.out, record_types.Pair), device.jobs, strict=True):
        first, second = [1000, 2000, 3000], [2000, 4000, 6000]
        swapped = pair.b_loaded_first
        assert job.artifacts == request_.artifacts[:: -1 if swapped else 1]
        assert (pair.a_ns, pair.b_ns) == ((second, first) if swapped else (first, second))
        # Who begins is told of the job's order, too.
        assert job.b_first == (pair.b_first != swapped)


def test_a_file_is_compared_with_itself_but_not_measured_twice(request_: Request) -> None:
    twice = dataclasses.replace(request_, artifacts=(request_.artifacts[0],) * 2, repeats=2)
    with pytest.raises(UsageError, match="hold the same bytes"):
        perform(twice, ScriptedDevice())
    finished = perform(dataclasses.replace(twice, compare=True), ScriptedDevice())
    assert finished.processes == 4
    assert len(_of(request_.out, record_types.Artifact)) == 1


def test_an_unfit_device_is_refused_before_anything_is_written(request_: Request) -> None:
    strict = dataclasses.replace(request_, strict=True)
    with pytest.raises(DeviceUnfit, match="not fit: others_busy"):
        perform(strict, ScriptedDevice(unfit=("others_busy",)))
    assert not request_.out.exists()
    perform(request_, ScriptedDevice(unfit=("others_busy",)))


def test_strict_ends_at_the_first_flag_and_keeps_it(request_: Request) -> None:
    strict = dataclasses.replace(request_, strict=True)
    with pytest.raises(DeviceUnfit, match=r"others_busy .*7 of 16 processes are kept"):
        perform(strict, ScriptedDevice({6: FLAGGED}))
    flags = [repeat.conditions.flags for repeat in _of(request_.out, record_types.Repeat)]
    assert flags == [[], [], ["others_busy"]]
    with pytest.raises(DeviceUnfit, match="already holds a flagged process"):
        perform(dataclasses.replace(strict, resume=True), ScriptedDevice())


def test_flags_never_stop_a_lenient_run(request_: Request) -> None:
    finished = perform(request_, ScriptedDevice({6: FLAGGED}))
    assert finished.processes == 16
    assert (
        sum(r.conditions.flags == ["others_busy"] for r in _of(request_.out, record_types.Repeat))
        == 1
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threads": (1, 1)}, "--threads names a value twice"),
        ({"cpus": (0, 0)}, "--cpus names a value twice"),
        ({"runtime_args": ("arena",)}, "not of the form K=V"),
        ({"runtime_args": ("aren=off",)}, "Did you mean 'arena'"),
        ({"runtime_args": ("xnnpack=off",)}, "no runtime of these artifacts"),
        ({"runtime_args": ("arena=no",)}, "one of on, off"),
        ({"runtime_args": ("arena=on", "arena=off")}, "given twice"),
    ],
)
def test_options_are_refused_before_anything_runs(
    request_: Request, changes: dict[str, Any], message: str
) -> None:
    device = ScriptedDevice()
    with pytest.raises(UsageError, match=message):
        perform(dataclasses.replace(request_, **changes), device)
    assert device.jobs == []


def test_compare_needs_a_base_and_another(request_: Request) -> None:
    with pytest.raises(UsageError, match="needs two artifacts"):
        perform(
            dataclasses.replace(request_, artifacts=request_.artifacts[:1], compare=True),
            ScriptedDevice(),
        )


def test_an_artifact_changed_since_its_manifest_is_refused(request_: Request) -> None:
    path = request_.artifacts[1]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ParityError, match="not the file its manifest was written for"):
        perform(request_, ScriptedDevice())
    assert not request_.out.exists()


def test_only_arguments_of_the_runtime_are_recorded(request_: Request) -> None:
    perform(dataclasses.replace(request_, runtime_args=("arena=off",)), ScriptedDevice())
    repeats = _of(request_.out, record_types.Repeat)
    assert {tuple(repeat.runtime_args.items()) for repeat in repeats} == {(("arena", "off"),)}
