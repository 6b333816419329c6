"""Judge what a device went through while a worker ran: named flags, with thresholds. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cnn_export.benchmarks.devices.host.host_counters import Snapshot
from cnn_export.benchmarks.results.record_types import Conditions

OTHERS_BUSY = 0.10
"""Share of all CPU time that others may take: above it they also take caches and bandwidth."""
STOLEN = 0.02
"""Share of CPU time that the hypervisor may keep from a virtual machine."""
CLOCK_MOVED = 0.05
"""Range of the clock over its maximum; a median within 2 % needs a steadier one."""
_TICKS_MIN = 20
"""Fewer ticks (of 10 ms each) tell no share."""

EXPLANATIONS: dict[str, str] = {
    "others_busy": f"other processes used more than {OTHERS_BUSY:.0%} of the CPUs",
    "stolen": f"the hypervisor kept more than {STOLEN:.0%} of the CPUs' time",
    "clock_moved": f"the clock moved by more than {CLOCK_MOVED:.0%}",
    "throttled": "heat slowed the processor",
    "quota_throttled": "the container's CPU quota held the process",
    "too_few_cpus": "there are fewer CPUs than threads",
    "not_settled": "warm-up reached its limit before times were stable",
    "hot": "the phone was above --max-temperature when the wait was over",
    "low_battery": "the battery was below --min-battery",
    "battery_saver": "the battery saver was on, which slows the processor",
    "thermal_throttled": "the phone reported thermal throttling when the wait was over",
    "unwatched": "the phone's clocks and load could not be watched",
}
"""Every flag in words."""


def judge(
    snapshots: Sequence[Snapshot], cpus: Iterable[int] = (), given: Iterable[str] = ()
) -> Conditions:
    """Return the conditions between the first and the last snapshot, in their order.

    ``cpus`` are those the worker was bound to; ``given`` are flags that are known already.
    """
    clocks = [moment.clock_khz for moment in snapshots if moment.clock_khz is not None]
    flags = list(given)
    if len(clocks) > 1 and max(clocks) - min(clocks) > CLOCK_MOVED * max(clocks):
        flags.append("clock_moved")
    others = None
    if len(snapshots) > 1:
        first, last = snapshots[0], snapshots[-1]
        others = others_load(first, last)
        flags += _between(first, last, others)
    return Conditions(cpus=sorted(cpus), clock_khz=clocks, others_load=others, flags=flags)


def others_load(first: Snapshot, last: Snapshot) -> float | None:
    """Return the share of all CPU time that foreign processes used; ``None``: too short to say."""
    total = last.total_ticks - first.total_ticks
    if total < _TICKS_MIN:
        return None
    busy = last.busy_ticks - first.busy_ticks
    own = last.own_ticks - first.own_ticks
    # Ticks of both are rounded on their own, so the difference may fall below nothing.
    return round(max(0.0, (busy - own) / total), 4)


def _between(first: Snapshot, last: Snapshot, others: float | None) -> list[str]:
    total = last.total_ticks - first.total_ticks
    stolen = last.steal_ticks - first.steal_ticks
    found = {
        "others_busy": others is not None and others > OTHERS_BUSY,
        "stolen": total >= _TICKS_MIN and stolen > STOLEN * total,
        "throttled": last.thermal_throttles > first.thermal_throttles,
        "quota_throttled": last.quota_throttles > first.quota_throttles,
    }
    return [name for name, holds in found.items() if holds]
