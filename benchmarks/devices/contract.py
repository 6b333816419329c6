"""What ``cnn-bench`` asks of a device: run one worker process, and tell how it stood meanwhile.

A device carries the files to where the worker runs, starts it, bounds its time, and watches the
machine from outside the timed process. Each kind of device is a folder beside this file: this host
(``host``), phones over adb (``adb``). Its ``*_kind.py`` makes it known
(:mod:`.kinds`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol

from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.session import Session

Kind = record_types.Part
Cluster = Literal["big", "little"]
"""The fastest or the slowest cores of a machine that has cores of several kinds."""


@dataclasses.dataclass(frozen=True)
class Job:
    """The work of one process. ``artifacts`` are two for a ``pair``, else one.

    ``cpus`` binds the process (empty: anywhere), ``block`` is how many inferences of one artifact
    run before the other's turn.
    """

    kind: Kind
    artifacts: tuple[Path, ...]
    threads: int
    min_time_s: float
    cpus: tuple[int, ...] = ()
    runtime_args: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    b_first: bool = False
    block: int = 1


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the process measured, and the machine around it."""

    session: Session
    conditions: record_types.Conditions


@dataclasses.dataclass
class Preparation:
    """What was changed on a device for a run, and, once it is over, what somebody has to know."""

    changes: list[record_types.SettingChange] = dataclasses.field(
        default_factory=list[record_types.SettingChange]
    )
    notes: list[str] = dataclasses.field(default_factory=list[str])


class Device(Protocol):
    """One machine that runs workers."""

    @property
    def name(self) -> str:
        """What it is called, without asking it."""
        ...

    def require_runtimes(self, packages: Sequence[str]) -> None:
        """Check that a worker there can run artifacts of runtimes, such as ``onnxruntime``.

        Raises:
            TargetUnavailable: it has not got it; the message says how it gets it.
            DeviceUnfit: it is not there.
        """
        ...

    def cluster(self, name: Cluster) -> tuple[int, ...]:
        """Return the CPUs of a cluster.

        Raises:
            UsageError: it does not tell its cores apart.
            DeviceUnfit: it is not there.
        """
        ...

    def describe(self) -> record_types.Device:
        """Return what results on it must share to be compared.

        Raises:
            DeviceUnfit: it is not there.
        """
        ...

    def unfit(self, threads: int, cpus: tuple[int, ...]) -> list[str]:
        """Look at the machine before anything is measured; name each unfit condition.

        Raises:
            UsageError: it has not got those CPUs.
        """
        ...

    def prepared(self) -> AbstractContextManager[Preparation]:
        """Make the device ready for a run of many jobs; put it back as it was afterwards.

        Raises:
            DeviceUnfit: it is not there.
        """
        ...

    def run(self, job: Job) -> Outcome:
        """Run one worker process to its end, within :meth:`prepared`.

        Raises:
            ExportError: what the worker reported.
            IncompleteRun: it crashed, hung, or its report has a gap.
            DeviceUnfit: the device is lost.
            Interrupted: :meth:`stop` was called.
        """
        ...

    def stop(self, why: str) -> None:
        """End what another thread runs, or will run, on the device; ``why`` it is told."""
        ...
