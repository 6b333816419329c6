"""After a run's processes: what other tools say of its artifacts, and what the CPU's counters do.

Only phones are checked so. Nothing of this enters statistics.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cnn_export.benchmarks.devices.cross_checker import CrossChecked, CrossChecker
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.session import IncompleteRun
from cnn_export.benchmarks.run.plan import Invocation
from cnn_export.benchmarks.run.runner import Lost, Sink, job_of, only_possible
from cnn_export.errors import DeviceUnfit, ExportError, UsageError

if TYPE_CHECKING:
    from cnn_export.benchmarks.artifacts.artifacts import RunArtifact
    from cnn_export.benchmarks.devices.adb.vendor_tools.tool_registry import ToolBinary

_NS_PER_S = 1e9
_FEWEST, _MOST = 10, 10_000
"""Inferences of a tool that is told a number, not a time."""


def require_cross_checks(device: object, tools: Sequence[ToolBinary], *, compare: bool) -> None:
    """Check that the device can run the tools that the user gives.

    Raises:
        UsageError: it runs none, or the run times no artifact by itself.
        InputRefused: a binary is not for it.
    """
    if not tools:
        return
    if compare:
        raise UsageError("--runner cross-checks single artifacts; leave --compare out")
    if not isinstance(device, CrossChecked):
        raise UsageError("--runner runs other tools on a phone; give --device adb with it")
    checker = device.cross_checker()
    for binary in tools:
        checker.require_tool(binary)


def add_cross_checks(
    run: record_types.Run,
    artifacts: Sequence[RunArtifact],
    device: object,
    sink: Sink,
    lost: list[Lost],
    tools: Sequence[ToolBinary] = (),
) -> None:
    """Add what the run's records lack of traffic and opinions; those that failed go to ``lost``.

    Raises:
        DeviceUnfit: the device is lost.
        UsageError: a tool cannot do what a runtime argument asks for.
        DestinationError: the file cannot be written.
    """
    if run.compare or not isinstance(device, CrossChecked):
        return
    checker = device.cross_checker()
    known = _known(sink.records)
    for invocation in _single_artifacts(run, artifacts):
        key = (invocation.artifacts[0].sha256, invocation.threads)
        if ("traffic", *key) not in known:
            try:
                with only_possible():
                    traffic = _traffic(run, invocation, checker)
                sink.append(traffic)
            except IncompleteRun as error:
                lost.append(Lost(invocation, error))
        for binary in tools:
            if (
                binary.tool.runtime != invocation.artifacts[0].runtime
                or (binary.tool.name, *key) in known
            ):
                continue
            try:
                with only_possible():
                    opinion = _opinion(run, invocation, checker, binary, sink.records)
                sink.append(opinion)
            except (DeviceUnfit, UsageError):
                raise
            except ExportError as error:
                lost.append(Lost(invocation, error))


def _single_artifacts(run: record_types.Run, artifacts: Iterable[RunArtifact]) -> list[Invocation]:
    return [
        Invocation("time", (artifact,), threads, repeat=0, position=0)
        for artifact in artifacts
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


def _traffic(
    run: record_types.Run, invocation: Invocation, checker: CrossChecker
) -> record_types.Traffic:
    counted = checker.traffic(job_of(invocation, run))
    return record_types.Traffic(
        run_id=run.run_id,
        artifact=invocation.artifacts[0].sha256,
        threads=invocation.threads,
        inferences=counted.inferences,
        levels=list(counted.levels),
        reason=counted.reason,
    )


def _opinion(
    run: record_types.Run,
    invocation: Invocation,
    checker: CrossChecker,
    binary: ToolBinary,
    records: Sequence[record_types.Record],
) -> record_types.Opinion:
    job = job_of(invocation, run)
    key = (invocation.artifacts[0].sha256, invocation.threads)
    inferences = _inferences(job.min_time_s, _medians(records).get(key))
    opinion = checker.opinion(binary, job, inferences)
    found = opinion.figures
    return record_types.Opinion(
        run_id=run.run_id,
        artifact=invocation.artifacts[0].sha256,
        threads=invocation.threads,
        tool=binary.tool.name,
        tool_sha256=binary.sha256,
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
        conditions=opinion.conditions,
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
