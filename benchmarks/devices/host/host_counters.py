"""Moments of this host: how much CPU time passed, whose it was, at which clock.

All counts are since boot or since a process's start; what happened is a difference of two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from cnn_export.benchmarks.machine.cgroup import read_limits
from cnn_export.benchmarks.machine.host_info import clocks_khz, thermal_throttles

_ROOT = Path("/")
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
"""Columns of the line ``cpu`` in ``/proc/stat``: user nice system idle iowait irq softirq steal;
guest times follow, which ``user`` already holds."""
_COLUMNS = 8
_UTIME, _STIME = 11, 12
"""Columns of ``/proc/PID/stat`` behind the name in parentheses: own CPU time, ticks."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Ticks of all CPUs together, and what is known of clocks and throttling right now."""

    total_ticks: int
    busy_ticks: int
    steal_ticks: int
    own_ticks: int
    clock_khz: int | None = None
    thermal_throttles: int = 0
    quota_throttles: int = 0


def take_snapshot(own: Iterable[int], cpus: set[int], root: Path = _ROOT) -> Snapshot | None:
    """Return the moment, or ``None`` where there is no ``/proc/stat``.

    ``own`` are the processes that are not "others". The clock is the fastest among ``cpus``:
    the busy one, where only one of them works.
    """
    columns = _cpu_columns(root)
    if columns is None:
        return None
    return snapshot_of(
        columns,
        sum(_process_ticks(pid, root) for pid in own),
        clock_khz=max(clocks_khz(cpus, root), default=None),
        thermal_throttles=thermal_throttles(root),
        quota_throttles=read_limits(root).throttled,
    )


def snapshot_of(
    columns: Sequence[int],
    own_ticks: int,
    *,
    clock_khz: int | None = None,
    thermal_throttles: int = 0,
    quota_throttles: int = 0,
) -> Snapshot:
    """Return the moment that the columns of ``cpu`` in ``/proc/stat`` tell; missing ones are 0."""
    counts = [*columns[:_COLUMNS], *[0] * (_COLUMNS - len(columns))]
    total = sum(counts)
    return Snapshot(
        total_ticks=total,
        busy_ticks=total - counts[_IDLE] - counts[_IOWAIT] - counts[_STEAL],
        steal_ticks=counts[_STEAL],
        own_ticks=own_ticks,
        clock_khz=clock_khz,
        thermal_throttles=thermal_throttles,
        quota_throttles=quota_throttles,
    )


def _cpu_columns(root: Path) -> list[int] | None:
    try:
        with (root / "proc/stat").open() as opened:
            line = opened.readline()
    except OSError:
        return None
    return [int(number) for number in line.split()[1 : 1 + _COLUMNS]]


def _process_ticks(pid: int, root: Path) -> int:
    try:
        text = (root / f"proc/{pid}/stat").read_text()
    except OSError:  # it has ended
        return 0
    fields = text.rpartition(")")[2].split()
    return int(fields[_UTIME]) + int(fields[_STIME])
