"""One call of ``cnn-bench run``, from request to records: begin or resume, measure, keep."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from cnn_export import __version__
from cnn_export.benchmarks import results
from cnn_export.benchmarks.device import Cluster, Device
from cnn_export.benchmarks.plan import Turn, done_keys, plan_turns
from cnn_export.benchmarks.results_file import Appender
from cnn_export.benchmarks.resume import (
    Earlier,
    last_run,
    require_same_plan,
    require_same_versions,
    require_unflagged,
)
from cnn_export.benchmarks.runner import Lost, Progress, measure
from cnn_export.benchmarks.runtime_arguments import parse_arguments
from cnn_export.benchmarks.subjects import Subject, read_subjects
from cnn_export.errors import DestinationError, DeviceUnfit, ExportError, Interrupted, UsageError

_SEED_BITS = 31


@dataclasses.dataclass(frozen=True)
class Request:
    """What the user asked for. ``seed`` ``None``: draw one, or take that of the resumed run."""

    artifacts: tuple[Path, ...]
    out: Path
    threads: tuple[int, ...] = (1,)
    repeats: int = 10
    min_time_s: float = 1.0
    seed: int | None = None
    cpus: tuple[int, ...] | Cluster = ()
    runtime_args: tuple[str, ...] = ()
    compare: bool = False
    block: int = 1
    resume: bool = False
    strict: bool = False


@dataclasses.dataclass(frozen=True)
class Finished:
    """A run's records so far, those of an earlier call included, and what did not count."""

    run: results.Run
    records: tuple[results.Record, ...]
    lost: tuple[Lost, ...]
    total: int
    torn_bytes: int = 0
    notes: tuple[str, ...] = ()
    """What somebody has to know of the device now."""
    left_out: tuple[str, ...] = ()
    """Which lines of an earlier call do not count."""

    @property
    def processes(self) -> int:
        """How many processes are kept."""
        return len(done_keys(self.records, self.run.run_id))

    def first_failure(self, out: Path) -> ExportError | None:
        """Return what the command ends with if a process did not count."""
        if not self.lost:
            return None
        first = self.lost[0]
        names = " and ".join(subject.name for subject in first.turn.subjects)
        others = f" ({len(self.lost) - 1} other failures)" if len(self.lost) > 1 else ""
        kept = kept_line(self.processes, self.total, out)
        return type(first.error)(f"{names}: {first.error}{others}; {kept}")


class _Kept:
    """Appends to the file, and remembers."""

    def __init__(self, appender: Appender, records: Sequence[results.Record]) -> None:
        self._appender = appender
        self.records = list(records)

    def append(self, record: results.Record) -> None:
        require_same_versions(self.records, record)
        self._appender.append(record)
        self.records.append(record)


def perform(
    request: Request, device: Device, report: Callable[[Progress], None] = lambda _: None
) -> Finished:
    """Measure what the request's plan still lacks.

    Raises:
        UsageError: an option contradicts another, or the run to be resumed.
        InputRefused: an artifact or the results file cannot be read.
        DeviceUnfit: with ``strict``, the device is in no condition to measure; or it is lost.
        Interrupted: the user stopped it; what was measured is kept.
    """
    subjects = _checked_subjects(request, device)
    described = device.describe()
    cpus = request.cpus if isinstance(request.cpus, tuple) else device.cluster(request.cpus)
    flags = device.unfit(max(request.threads), cpus) if request.strict else []
    if flags:
        raise DeviceUnfit(f"the device is not fit: {', '.join(flags)} (--strict); nothing was run")
    if request.resume and not request.out.exists():
        raise UsageError(f"there is no {request.out} to resume; leave --resume out")
    with Appender(request.out) as appender:
        with device.prepared() as prepared:
            wanted = _wanted(request, subjects, described, cpus, prepared.changes)
            earlier = _begun(request, wanted)
            run = earlier.run
            turns = plan_turns(subjects, run.threads, run.repeats, run.seed, compare=run.compare)
            earlier = earlier.within(turns)
            sink = _Kept(appender, earlier.records)
            _open(sink, run, subjects)
            lost = _measured(request, turns, run, device, sink, report)
        torn, notes = appender.torn_bytes, tuple(prepared.notes)
    left_out = tuple(earlier.left_out)
    return Finished(run, tuple(sink.records), tuple(lost), len(turns), torn, notes, left_out)


def kept_line(done: int, total: int, out: Path) -> str:
    """Return how much is safe, and how to go on."""
    return (
        f"{done} of {total} processes are kept in {out}; go on with the same command and --resume"
    )


def _measured(
    request: Request,
    turns: Sequence[Turn],
    run: results.Run,
    device: Device,
    sink: _Kept,
    report: Callable[[Progress], None],
) -> list[Lost]:
    done = done_keys(sink.records, run.run_id)
    left = [turn for turn in turns if turn.key not in done]
    try:
        return measure(left, run, device, sink, strict=request.strict, report=report)
    except (KeyboardInterrupt, DeviceUnfit, DestinationError) as error:
        count = len(done_keys(sink.records, run.run_id))
        kept = kept_line(count, len(turns), request.out)
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(f"interrupted; {kept}") from None
        raise type(error)(f"{error}; {kept}") from error


def _checked_subjects(request: Request, device: Device) -> list[Subject]:
    if request.compare and len(request.artifacts) < 2:
        raise UsageError("--compare needs two artifacts or more: the first is the base")
    cpus = request.cpus if isinstance(request.cpus, tuple) else ()
    for option, values in (("--threads", request.threads), ("--cpus", cpus)):
        if len(set(values)) != len(values):
            raise UsageError(f"{option} names a value twice; give each once")
    # Two artifacts with the same bytes are one pair twice, but never two of three.
    twins = request.compare and len(request.artifacts) == 2
    return read_subjects(request.artifacts, device.require_runtime, same_twice=twins)


def _wanted(
    request: Request,
    subjects: Sequence[Subject],
    device: results.Device,
    cpus: tuple[int, ...],
    changes: Sequence[results.SettingChange],
) -> results.Run:
    runtimes = {subject.runtime: None for subject in subjects}
    return results.Run(
        run_id=secrets.token_hex(8),
        producer=f"cnn-export {__version__}",
        started_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        device=device,
        seed=secrets.randbits(_SEED_BITS) if request.seed is None else request.seed,
        repeats=request.repeats,
        min_time_s=request.min_time_s,
        artifacts=[subject.sha256 for subject in subjects],
        threads=list(request.threads),
        cpus=list(cpus),
        runtime_args=parse_arguments(request.runtime_args, runtimes),
        compare=request.compare,
        block=request.block,
        settings=list(changes) or None,
    )


def _open(sink: _Kept, run: results.Run, subjects: Sequence[Subject]) -> None:
    """Write the lines that come before measurements, as far as they are not there."""
    if not any(isinstance(record, results.Run) for record in sink.records):
        sink.append(run)
    known = {r.sha256 for r in sink.records if isinstance(r, results.Artifact)}
    for subject in subjects:
        if subject.sha256 not in known:
            known.add(subject.sha256)
            sink.append(subject.record(run.run_id))


def _begun(request: Request, wanted: results.Run) -> Earlier:
    """Return the run to work on, and what is there of it already."""
    if not request.resume:
        return Earlier(wanted, ())
    found = last_run(request.out)
    require_same_plan(found.run, wanted, ignore_seed=request.seed is None)
    if request.strict:
        require_unflagged(found.records, request.out)
    return found
