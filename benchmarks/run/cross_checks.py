"""After a run's processes: what other tools say of its artifacts, and what the CPU's counters do.

Only phones are looked at again. Nothing of this enters statistics.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cnn_export.benchmarks.devices.contract import Job
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.session import IncompleteRun
from cnn_export.benchmarks.run.plan import Turn
from cnn_export.benchmarks.run.runner import Lost, Sink, job_of, only_possible
from cnn_export.errors import DeviceUnfit, ExportError, UsageError

if TYPE_CHECKING:
    from cnn_export.benchmarks.artifacts.artifacts import Subject
    from cnn_export.benchmarks.devices.adb.vendor_tools.tool_figures import Findings
    from cnn_export.benchmarks.devices.adb.vendor_tools.tool_registry import OwnTool

_NS_PER_S = 1e9
_FEWEST, _MOST = 10, 10_000
"""Inferences of a tool that is told a number, not a time."""


@dataclasses.dataclass(frozen=True)
class Counted:
    """Memory traffic of one inference, or why there is none; as :class:`record_types.Traffic`."""

    inferences: int | None = None
    levels: tuple[record_types.Level, ...] = ()
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Opined:
    """What a tool said, and the device around it."""

    findings: Findings
    conditions: record_types.Conditions


class SecondLooks(Protocol):
    """Runs other tools and counts memory traffic."""

    def require_tool(self, own: OwnTool) -> None:
        """Check that a tool's binary can run there.

        Raises:
            InputRefused: it cannot.
        """
        ...

    def opinion(self, own: OwnTool, job: Job, inferences: int) -> Opined:
        """Run a tool once on the job's artifact; ``inferences`` are what fills its time.

        Raises:
            ExportError: the tool failed, or says nothing to believe.
            DeviceUnfit: the device is lost.
        """
        ...

    def traffic(self, job: Job) -> Counted:
        """Count what one inference of the job's artifact moves.

        Raises:
            DeviceUnfit: the device is lost.
        """
        ...


@runtime_checkable
class LooksAgain(Protocol):
    """A device that can."""

    def second_looks(self) -> SecondLooks:
        """Return what it does besides running workers."""
        ...


def require_second_looks(device: object, tools: Sequence[OwnTool], *, compare: bool) -> None:
    """Check that the device can run the tools that the user gives.

    Raises:
        UsageError: it runs none, or the run times no artifact by itself.
        InputRefused: a binary is not for it.
    """
    if not tools:
        return
    if compare:
        raise UsageError("--runner gives second opinions on single artifacts; leave --compare out")
    if not isinstance(device, LooksAgain):
        raise UsageError("--runner runs other tools on a phone; give --device adb with it")
    looks = device.second_looks()
    for own in tools:
        looks.require_tool(own)


def look_again(
    run: record_types.Run,
    subjects: Sequence[Subject],
    device: object,
    sink: Sink,
    lost: list[Lost],
    tools: Sequence[OwnTool] = (),
) -> None:
    """Add what the run's records lack of traffic and opinions; those that failed go to ``lost``.

    Raises:
        DeviceUnfit: the device is lost.
        UsageError: a tool cannot do what a runtime argument asks for.
        DestinationError: the file cannot be written.
    """
    if run.compare or not isinstance(device, LooksAgain):
        return
    looks = device.second_looks()
    known = _known(sink.records)
    for turn in _turns(run, subjects):
        key = (turn.subjects[0].sha256, turn.threads)
        if ("traffic", *key) not in known:
            try:
                with only_possible():
                    traffic = _traffic(run, turn, looks)
                sink.append(traffic)
            except IncompleteRun as error:
                lost.append(Lost(turn, error))
        for own in tools:
            if own.tool.runtime != turn.subjects[0].runtime or (own.tool.name, *key) in known:
                continue
            try:
                with only_possible():
                    opinion = _opinion(run, turn, looks, own, sink.records)
                sink.append(opinion)
            except (DeviceUnfit, UsageError):
                raise
            except ExportError as error:
                lost.append(Lost(turn, error))


def _turns(run: record_types.Run, subjects: Iterable[Subject]) -> list[Turn]:
    return [
        Turn("time", (subject,), threads, repeat=0, position=0)
        for subject in subjects
        for threads in run.threads
    ]


def _known(records: Iterable[record_types.Record]) -> set[tuple[str, str, int]]:
    found: set[tuple[str, str, int]] = set()
    for record in records:
        if isinstance(record, record_types.Traffic):
            found.add(("traffic", record.artifact, record.threads))
        elif isinstance(record, record_types.Opinion):
            found.add((record.tool, record.artifact, record.threads))
    return found


def _traffic(run: record_types.Run, turn: Turn, looks: SecondLooks) -> record_types.Traffic:
    counted = looks.traffic(job_of(turn, run))
    return record_types.Traffic(
        run_id=run.run_id,
        artifact=turn.subjects[0].sha256,
        threads=turn.threads,
        inferences=counted.inferences,
        levels=list(counted.levels),
        reason=counted.reason,
    )


def _opinion(
    run: record_types.Run,
    turn: Turn,
    looks: SecondLooks,
    own: OwnTool,
    records: Sequence[record_types.Record],
) -> record_types.Opinion:
    job = job_of(turn, run)
    key = (turn.subjects[0].sha256, turn.threads)
    inferences = _inferences(job.min_time_s, _medians(records).get(key))
    opined = looks.opinion(own, job, inferences)
    found = opined.findings
    return record_types.Opinion(
        run_id=run.run_id,
        artifact=turn.subjects[0].sha256,
        threads=turn.threads,
        tool=own.tool.name,
        tool_sha256=own.sha256,
        runtime_args=dict(job.runtime_args),
        count=found.count,
        warm_up=found.warm_up,
        average_ns=found.average_ns,
        median_ns=found.median_ns,
        minimum_ns=found.minimum_ns,
        maximum_ns=found.maximum_ns,
        load_ns=found.load_ns,
        first_ns=found.first_ns,
        raw_ns=list(found.raw_ns) or None,
        conditions=opined.conditions,
    )


def _medians(records: Iterable[record_types.Record]) -> Mapping[tuple[str, int], float]:
    """Return our own median of one process per artifact and threads."""
    return {
        (record.artifact, record.threads): statistics.median(record.samples_ns)
        for record in records
        if isinstance(record, record_types.Repeat)
    }


def _inferences(seconds: float, median_ns: float | None) -> int:
    """Return how many inferences fill the measuring time, within bounds."""
    if not median_ns:
        return _FEWEST
    return min(max(math.ceil(seconds * _NS_PER_S / median_ns), _FEWEST), _MOST)
