"""Work through a plan, and append every process to the results file as soon as it has ended."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Protocol, TypeVar

from pydantic import ValidationError

from cnn_export.benchmarks.devices.contract import Device, Job, Outcome
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.session import IncompleteRun
from cnn_export.benchmarks.run.endings import failed_endings
from cnn_export.benchmarks.run.plan import Invocation
from cnn_export.benchmarks.runtimes.runtime_arguments import arguments_of
from cnn_export.errors import DeviceUnfit, ExportError, InputRefused, Interrupted, UsageError

_T = TypeVar("_T")
_Key = tuple[tuple[str, ...], int]


class Sink(Protocol):
    """Where records go, and those of the run that are there."""

    records: list[record_types.Record]

    def append(self, *records: record_types.Record) -> None:
        """Keep records, all of them or none."""
        ...


@dataclasses.dataclass(frozen=True)
class Lost:
    """A process that did not count, and why."""

    invocation: Invocation
    error: ExportError


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far ``device`` has come: ``done`` of ``total`` processes, and the one at hand."""

    done: int
    total: int
    invocation: Invocation
    device: str = ""


def measure(
    invocations: Sequence[Invocation],
    run: record_types.Run,
    device: Device,
    sink: Sink,
    lost: list[Lost],
    *,
    strict: bool = False,
    report: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Run every invocation and keep what it measured; those that failed go to ``lost``.

    After a failure the same artifacts at the same threads are not tried again in this call, which
    the file is told at once; all others go on.

    Raises:
        DestinationError: the file cannot be written.
        UsageError: the device cannot do what was asked of it, whatever the artifact.
        Interrupted: the device was told to stop.
        DeviceUnfit: the device is lost; or, with ``strict``, a kept record has a flag.
    """
    given_up: set[_Key] = set()
    for done, invocation in enumerate(invocations):
        report(Progress(done, len(invocations), invocation))
        if _group(invocation) in given_up:
            continue
        try:
            with only_possible():
                outcome = device.run(job_of(invocation, run))
                _require_same_machine(outcome, invocation)
                record = record_of(invocation, run, outcome)
        except (DeviceUnfit, Interrupted, UsageError):
            raise
        except ExportError as error:
            given_up.add(_group(invocation))
            lost.append(Lost(invocation, error))
            sink.append(*failed_endings(run, invocation.part(run.run_id), error, sink.records))
            continue
        sink.append(record)
        if strict:
            _require_fit(outcome, invocation)


def job_of(invocation: Invocation, run: record_types.Run) -> Job:
    """Return what the device shall do in this invocation."""
    return Job(
        kind=invocation.kind,
        artifacts=_as_loaded(invocation, tuple(artifact.path for artifact in invocation.artifacts)),
        threads=invocation.threads,
        min_time_s=run.min_time_s,
        cpus=tuple(run.cpus),
        runtime_args=_arguments(invocation, run),
        b_first=invocation.b_first != invocation.b_loaded_first,
        block=run.block,
    )


def record_of(
    invocation: Invocation, run: record_types.Run, outcome: Outcome
) -> record_types.Record:
    """Return the line that keeps this invocation."""
    kinds = {"memory": _memory, "pair": _pair, "time": _repeat}
    return kinds[invocation.kind](invocation, run, outcome)


@contextlib.contextmanager
def only_possible() -> Generator[None]:
    """Refuse what a device reports and no record can hold.

    Raises:
        IncompleteRun: names the field.
    """
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise IncompleteRun(f"the device reported an impossible {where}: {first['msg']}") from None


def _repeat(invocation: Invocation, run: record_types.Run, outcome: Outcome) -> record_types.Repeat:
    session = outcome.session
    return record_types.Repeat(
        run_id=run.run_id,
        artifact=invocation.artifacts[0].sha256,
        repeat=invocation.repeat,
        position=invocation.position,
        threads=invocation.threads,
        runtime=session.hello.runtime,
        runtime_version=session.hello.version,
        runtime_args=_arguments(invocation, run),
        load_ns=session.hello.load_ns,
        first_ns=session.hello.first_ns,
        warm_up=session.end.warm_up,
        samples_ns=list(session.samples_ns),
        conditions=outcome.conditions,
    )


def _pair(invocation: Invocation, run: record_types.Run, outcome: Outcome) -> record_types.Pair:
    first, second = _as_loaded(invocation, outcome.session.hellos)
    a_ns, b_ns = _as_loaded(invocation, outcome.session.pairs_ns)
    return record_types.Pair(
        run_id=run.run_id,
        a=invocation.artifacts[0].sha256,
        b=invocation.artifacts[1].sha256,
        repeat=invocation.repeat,
        position=invocation.position,
        b_first=invocation.b_first,
        b_loaded_first=invocation.b_loaded_first,
        block=run.block,
        threads=invocation.threads,
        runtimes=(first.runtime, second.runtime),
        runtime_versions=(first.version, second.version),
        runtime_args=_arguments(invocation, run),
        a_ns=list(a_ns),
        b_ns=list(b_ns),
        conditions=outcome.conditions,
    )


def _memory(invocation: Invocation, run: record_types.Run, outcome: Outcome) -> record_types.Memory:
    found = outcome.session.memory
    if found is None:
        raise InputRefused("the worker reported no memory")
    return record_types.Memory(
        run_id=run.run_id,
        artifact=invocation.artifacts[0].sha256,
        threads=invocation.threads,
        runtime=outcome.session.hello.runtime,
        runtime_version=outcome.session.hello.version,
        peak_rss_bytes=found.peak_rss_bytes,
        peak_pss_bytes=found.peak_pss_bytes,
        baseline_rss_bytes=found.baseline_rss_bytes,
    )


def _arguments(invocation: Invocation, run: record_types.Run) -> dict[str, str]:
    """Return those arguments that concern a runtime of this invocation."""
    packages = {artifact.runtime for artifact in invocation.artifacts}
    return {
        key: value
        for package in sorted(packages)
        for key, value in arguments_of(package, run.runtime_args).items()
    }


def _require_same_machine(outcome: Outcome, invocation: Invocation) -> None:
    """Refuse a report about another runtime or number of threads than was asked for."""
    hellos = _as_loaded(invocation, outcome.session.hellos)
    for artifact, hello in zip(invocation.artifacts, hellos, strict=True):
        if (hello.runtime, hello.threads) != (artifact.runtime, invocation.threads):
            raise InputRefused(
                f"the worker ran {hello.runtime} with {hello.threads} threads,"
                f" not {artifact.runtime} with {invocation.threads}"
            )


def _require_fit(outcome: Outcome, invocation: Invocation) -> None:
    flags = outcome.conditions.flags
    if flags and invocation.kind != "memory":
        raise DeviceUnfit(
            f"{invocation.artifacts[-1].name}, repeat {invocation.repeat}:"
            f" {', '.join(flags)} (--strict)"
        )


def _as_loaded(invocation: Invocation, items: tuple[_T, ...]) -> tuple[_T, ...]:
    """Turn what is in the plan's order into the process's, and back."""
    return items[::-1] if invocation.b_loaded_first else items


def _group(invocation: Invocation) -> _Key:
    return tuple(artifact.sha256 for artifact in invocation.artifacts), invocation.threads
