"""This host as a device: start a worker process, read its report, watch and bound it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from cnn_export.benchmarks.devices.contract import Cluster, Job, Outcome, Preparation
from cnn_export.benchmarks.devices.host.fitness_flags import judge
from cnn_export.benchmarks.devices.host.host_counters import take_snapshot
from cnn_export.benchmarks.devices.host.worker_process import run_process
from cnn_export.benchmarks.machine.cgroup import read_limits
from cnn_export.benchmarks.machine.host_info import (
    HOST,
    allowed_cpus,
    describe_host,
    usable_cpus,
)
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.session import MEASUREMENTS
from cnn_export.benchmarks.runtimes.runtime_registry import require_runtimes
from cnn_export.errors import ExportError, Interrupted, UsageError

PATIENCE_S = 300.0
"""What loading, checking and reporting may take on a busy machine, besides the measuring."""

_WORKER = (sys.executable, "-P", "-m", "cnn_export.benchmarks.worker.worker")
_LOOK_S = 0.5


class HostDevice:
    """Runs workers as processes of this machine. ``command`` is what starts one."""

    def __init__(self, patience_s: float = PATIENCE_S, command: Sequence[str] = _WORKER) -> None:
        self._patience_s = patience_s
        self._command = tuple(command)
        self._stopping = threading.Event()
        self._why_stopped = ""
        self._end_process = _nothing

    @property
    def name(self) -> str:
        """Return what results call it."""
        return HOST

    def stop(self, why: str) -> None:
        """End the process that another thread runs, now and from now on."""
        self._why_stopped = why
        self._stopping.set()
        self._end_process()

    def require_runtimes(self, packages: Sequence[str]) -> None:
        """Check that runtimes are installed in this environment.

        Raises:
            TargetUnavailable: one is not; the message names all and holds the install line.
        """
        require_runtimes(packages)

    def cluster(self, name: Cluster) -> tuple[int, ...]:
        """Refuse: of the host no cluster is known.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"--cpus {name} is for phones; on this host give numbers, such as --cpus 0,1"
        )

    def prepared(self) -> AbstractContextManager[Preparation]:
        """Change nothing: the host is the user's."""
        return contextlib.nullcontext(Preparation())

    def describe(self) -> record_types.Device:
        """Return the host as results know it."""
        return describe_host()

    def unfit(self, threads: int, cpus: tuple[int, ...]) -> list[str]:
        """Watch the machine for half a second with nothing of ours running.

        Raises:
            UsageError: this process may not run on one of ``cpus``.
        """
        flags = self._static_flags(threads, cpus)
        own = (os.getpid(),)
        before = take_snapshot(own, allowed_cpus())
        time.sleep(_LOOK_S)
        after = take_snapshot(own, allowed_cpus())
        moments = [moment for moment in (before, after) if moment is not None]
        # An idle machine's clock moves as it likes; that says nothing about a busy one.
        return [flag for flag in judge(moments, given=flags).flags if flag != "clock_moved"]

    def run(self, job: Job) -> Outcome:
        """Run one worker process.

        Raises:
            ExportError: what the worker reported; see :mod:`cnn_export.benchmarks.results.session`.
            IncompleteRun: it crashed, hung, or its report has a gap.
            UsageError: this process may not run on one of the job's CPUs.
            DeviceUnfit: no process can be started.
            Interrupted: :meth:`stop` was called.
        """
        try:
            return self._measured(job)
        except ExportError:
            if self._stopping.is_set():
                raise Interrupted(self._why_stopped) from None
            raise
        finally:
            self._end_process = _nothing  # the process's number may be another's by now

    def _started(self, end: Callable[[], None]) -> None:
        """Take note of the process that :meth:`stop` has to end."""
        self._end_process = end
        if self._stopping.is_set():
            end()

    def _measured(self, job: Job) -> Outcome:
        given = self._static_flags(job.threads, job.cpus)
        limit_s = 4 * job.min_time_s * len(job.artifacts) + self._patience_s
        session, snapshots = run_process(
            [*self._command, *arguments(job)],
            limit_s,
            MEASUREMENTS[job.kind],
            job.threads,
            set(job.cpus) or None,
            self._started,
        )
        if not session.end.settled:
            given.append("not_settled")
        return Outcome(session, judge(snapshots, job.cpus, given))

    def _static_flags(self, threads: int, cpus: tuple[int, ...]) -> list[str]:
        allowed = allowed_cpus()
        missing = sorted(set(cpus) - allowed)
        if missing:
            raise UsageError(
                f"CPU {missing[0]} is not among those this process may use"
                f" ({', '.join(map(str, sorted(allowed)))}); change --cpus"
            )
        count = min(len(set(cpus)) or len(allowed), usable_cpus(read_limits().cpus))
        return ["too_few_cpus"] if threads > count else []


def _nothing() -> None:
    """End nothing: no process runs."""


def arguments(job: Job) -> list[str]:
    """Return the worker's command line for a job."""
    line = [*map(str, job.artifacts), "--threads", str(job.threads)]
    line += ["--min-time-s", str(job.min_time_s)]
    if job.cpus:
        line += ["--cpus", ",".join(map(str, job.cpus))]
    for key, value in job.runtime_args.items():
        line += ["--runtime-arg", f"{key}={value}"]
    if job.kind == "memory":
        line.append("--memory")
    if job.kind == "pair":
        line += ["--block", str(job.block)] + ["--b-first"] * job.b_first
    return line
