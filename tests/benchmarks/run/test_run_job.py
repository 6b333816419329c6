"""Begin and judge a run, on a device that does as it is told."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted_device import ScriptedDevice, good_outcome, hello_of
from scripted_run import of_kind, perform, records_of

from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.session import IncompleteRun
from cnn_export.benchmarks.run.run_request import Request
from cnn_export.errors import (
    DeviceUnfit,
    InputRefused,
    Interrupted,
    ParityError,
    TargetUnavailable,
    UsageError,
)

FLAGGED = functools.partial(good_outcome, flags=("others_busy",))


def test_every_artifact_is_measured_at_every_number_of_threads(request_: Request) -> None:
    device = ScriptedDevice()
    finished = perform(request_, device)
    assert [record.cnn_bench for record in records_of(request_.out)][:3] == [
        "run",
        "artifact",
        "artifact",
    ]
    assert len(of_kind(request_.out, record_types.Memory)) == 4
    repeats = of_kind(request_.out, record_types.Repeat)
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
        def require_runtimes(self, packages: Sequence[str]) -> None:
            raise TargetUnavailable(f"no {packages[0]} here")

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
    assert all(record.cnn_bench for record in records_of(request_.out))


def test_pairs_swap_their_order_from_process_to_process(request_: Request) -> None:
    device = ScriptedDevice()
    perform(dataclasses.replace(request_, compare=True, repeats=6, threads=(1,)), device)
    pairs = of_kind(request_.out, record_types.Pair)
    assert [pair.repeat for pair in pairs] == list(range(6))
    orders = [(pair.b_loaded_first, pair.b_first) for pair in pairs]
    assert len(set(orders[:4])) == 4
    assert orders[4:] == orders[:2]
    for one, other in zip(orders[::2], orders[1::2], strict=True):
        assert one == (not other[0], not other[1])
    assert of_kind(request_.out, record_types.Repeat) == []


def test_a_swapped_process_is_recorded_in_the_order_of_the_plan(request_: Request) -> None:
    """The job's first artifact takes 1, 2 and 3 µs; of the plan, that is the one or the other."""
    device = ScriptedDevice()
    perform(dataclasses.replace(request_, compare=True, repeats=4, threads=(1,)), device)
    for pair, job in zip(of_kind(request_.out, record_types.Pair), device.jobs, strict=True):
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
    assert len(of_kind(request_.out, record_types.Artifact)) == 1


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
    flags = [repeat.conditions.flags for repeat in of_kind(request_.out, record_types.Repeat)]
    assert flags == [[], [], ["others_busy"]]
    with pytest.raises(DeviceUnfit, match="already holds a flagged process"):
        perform(dataclasses.replace(strict, resume=True), ScriptedDevice())


def test_flags_never_stop_a_lenient_run(request_: Request) -> None:
    finished = perform(request_, ScriptedDevice({6: FLAGGED}))
    assert finished.processes == 16
    assert (
        sum(
            r.conditions.flags == ["others_busy"]
            for r in of_kind(request_.out, record_types.Repeat)
        )
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
    repeats = of_kind(request_.out, record_types.Repeat)
    assert {tuple(repeat.runtime_args.items()) for repeat in repeats} == {(("arena", "off"),)}
