"""A run on one device: check the request against it, open the run or take it up, work it off."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import secrets
from collections.abc import Callable, Sequence

from cnn_export import __version__
from cnn_export.benchmarks.artifacts.artifacts import RunArtifact, read_artifacts
from cnn_export.benchmarks.devices.contract import Device
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.results_file import Appender
from cnn_export.benchmarks.run.cross_checks import add_cross_checks, require_cross_checks
from cnn_export.benchmarks.run.endings import endings
from cnn_export.benchmarks.run.plan import Invocation, done_keys, plan_invocations
from cnn_export.benchmarks.run.resume import (
    Earlier,
    require_same_plan,
    require_same_versions,
    require_unflagged,
)
from cnn_export.benchmarks.run.run_request import DeviceRun, Request
from cnn_export.benchmarks.run.runner import Lost, Progress, measure
from cnn_export.benchmarks.runtimes.runtime_arguments import parse_arguments
from cnn_export.errors import DestinationError, DeviceUnfit, ExportError, Interrupted, UsageError

_SEED_BITS = 31


@dataclasses.dataclass(frozen=True)
class Checked:
    """A device that can do what is asked for. Nothing has been changed or written."""

    device: Device
    described: record_types.Device
    artifacts: tuple[RunArtifact, ...]
    cpus: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Group:
    """A call on several ``devices``, by their ids."""

    name: str
    devices: tuple[str, ...]


class _Kept:
    """Appends to the file, and remembers."""

    def __init__(self, appender: Appender, records: Sequence[record_types.Record]) -> None:
        self._appender = appender
        self.records = list(records)

    def append(self, *records: record_types.Record) -> None:
        for record in records:
            require_same_versions(self.records, record)
        self._appender.append(*records)
        self.records += records


def check(request: Request, device: Device) -> Checked:
    """Look at artifacts and device before anything is changed or written.

    Raises:
        UsageError: an option contradicts another, or the device.
        InputRefused: an artifact cannot be read.
        TargetUnavailable: the device has not got a runtime.
        DeviceUnfit: it is not there; or, with ``strict``, in no condition to measure.
    """
    artifacts = _checked_artifacts(request, device)
    described = device.describe()
    cpus = request.cpus if isinstance(request.cpus, tuple) else device.cluster(request.cpus)
    require_cross_checks(device, request.tools, compare=request.compare)
    flags = device.unfit(max(request.threads), cpus) if request.strict else []
    if flags:
        raise DeviceUnfit(f"the device is not fit: {', '.join(flags)} (--strict); nothing was run")
    return Checked(device, described, tuple(artifacts), cpus)


def work_off(
    request: Request,
    checked: Checked,
    appender: Appender,
    earlier: Earlier | None = None,
    *,
    group: Group | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> DeviceRun:
    """Measure what the plan still lacks; ``earlier`` is the run to take up.

    A loss of the device, a full disk and an interruption end the run, as ``stopped_by``;
    everything measured is kept.

    Raises:
        UsageError: the run to be taken up is another one; the device cannot do what is asked.
        DeviceUnfit: it cannot be made ready, or is not the run's.
    """
    device, artifacts = checked.device, checked.artifacts
    with device.prepared() as prepared:
        wanted = _wanted(request, checked, prepared.changes, group)
        begun = _begun(request, wanted, earlier)
        run = begun.run
        invocations = plan_invocations(
            artifacts, run.threads, run.repeats, run.seed, compare=run.compare
        )
        sink = _Kept(appender, begun.records)
        _open(sink, run, artifacts)
        done = done_keys(sink.records, run.run_id)
        left = [invocation for invocation in invocations if invocation.key not in done]
        lost, stopped_by = _measured(request, checked, left, run, sink, _named(report, run))
    return DeviceRun(
        run,
        tuple(sink.records),
        tuple(lost),
        len(invocations),
        appender.torn_bytes,
        tuple(prepared.notes),
        stopped_by,
        tuple(begun.left_out),
    )


def _measured(
    request: Request,
    checked: Checked,
    invocations: Sequence[Invocation],
    run: record_types.Run,
    sink: _Kept,
    report: Callable[[Progress], None],
) -> tuple[list[Lost], ExportError | None]:
    lost: list[Lost] = []
    stopped_by: ExportError | None = None
    try:
        measure(invocations, run, checked.device, sink, lost, strict=request.strict, report=report)
        add_cross_checks(run, checked.artifacts, checked.device, sink, lost, request.tools)
    except (DeviceUnfit, DestinationError, Interrupted) as error:
        stopped_by = error
    # On a full disk the plan alone tells what is missing.
    with contextlib.suppress(DestinationError):
        if told := endings(run, sink.records, stopped_by):
            sink.append(*told)
    return lost, stopped_by


def _named(report: Callable[[Progress], None], run: record_types.Run) -> Callable[[Progress], None]:
    return lambda progress: report(dataclasses.replace(progress, device=run.device.id))


def _checked_artifacts(request: Request, device: Device) -> list[RunArtifact]:
    if request.compare and len(request.artifacts) < 2:
        raise UsageError("--compare needs two artifacts or more: the first is the base")
    cpus = request.cpus if isinstance(request.cpus, tuple) else ()
    for option, values in (("--threads", request.threads), ("--cpus", cpus)):
        if len(set(values)) != len(values):
            raise UsageError(f"{option} names a value twice; give each once")
    # Two artifacts with the same bytes are one pair twice, but never two of three.
    twins = request.compare and len(request.artifacts) == 2
    return read_artifacts(request.artifacts, device.require_runtimes, same_twice=twins)


def _wanted(
    request: Request,
    checked: Checked,
    changes: Sequence[record_types.SettingChange],
    group: Group | None,
) -> record_types.Run:
    runtimes = {artifact.runtime: None for artifact in checked.artifacts}
    return record_types.Run(
        run_id=secrets.token_hex(8),
        producer=f"cnn-export {__version__}",
        started_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        device=checked.described,
        seed=secrets.randbits(_SEED_BITS) if request.seed is None else request.seed,
        repeats=request.repeats,
        min_time_s=request.min_time_s,
        artifacts=[artifact.sha256 for artifact in checked.artifacts],
        threads=list(request.threads),
        cpus=list(checked.cpus),
        runtime_args=parse_arguments(request.runtime_args, runtimes),
        compare=request.compare,
        block=request.block,
        group=group and group.name,
        group_devices=group and list(group.devices),
        settings=list(changes) or None,
    )


def _open(sink: _Kept, run: record_types.Run, artifacts: Sequence[RunArtifact]) -> None:
    """Write the lines that come before measurements, as far as they are not there."""
    if not any(isinstance(record, record_types.Run) for record in sink.records):
        sink.append(run)
    known = {r.sha256 for r in sink.records if isinstance(r, record_types.Artifact)}
    for artifact in artifacts:
        if artifact.sha256 not in known:
            known.add(artifact.sha256)
            sink.append(artifact.record(run.run_id))


def _begun(request: Request, wanted: record_types.Run, earlier: Earlier | None) -> Earlier:
    """Return the run to work on, and what is there of it already."""
    if earlier is None:
        return Earlier(wanted, ())
    require_same_plan(earlier.run, wanted, ignore_seed=request.seed is None)
    if request.strict:
        require_unflagged(earlier.records, request.out)
    return earlier
