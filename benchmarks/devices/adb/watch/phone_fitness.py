"""Judge what a phone went through while a process was timed: from rounds to conditions. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from cnn_export.benchmarks.devices.adb.watch.watcher_output import Cluster, Round
from cnn_export.benchmarks.devices.host.fitness_flags import judge
from cnn_export.benchmarks.devices.host.host_counters import Snapshot, snapshot_of
from cnn_export.benchmarks.results.record_types import Conditions
from cnn_export.benchmarks.results.session import Session

TICKS_PER_S = 100
"""``USER_HZ``: the same on every Android phone."""
_NS_PER_S = 1e9
_BUSY = 0.5
_MARGIN_S = 0.05
"""What the first measurement's line may take from the phone to here."""


def timed_seconds(session: Session) -> float | None:
    """Return how long the timed part took; ``None`` where nothing was timed."""
    times = session.samples_ns or [a + b for a, b in zip(*session.pairs_ns, strict=True)]
    return sum(times) / _NS_PER_S if times else None


def within(rounds: Sequence[Round], begin_s: float, end_s: float) -> list[Round]:
    """Return the rounds that arrived between two moments."""
    return [each for each in rounds if begin_s <= each.at_s <= end_s]


def timed_part(
    rounds: Sequence[Round], begin_s: float, end_s: float, timed_s: float | None
) -> list[Round]:
    """Return the rounds of the timed part, which ends where the first measurement arrives.

    Warm-up comes before it, while the clock still rises: it counts only where nothing is known of
    the duration.
    """
    if timed_s is not None:
        begin_s = max(begin_s, end_s - timed_s - _MARGIN_S)
    return within(rounds, begin_s, end_s)


def last_busy_s(rounds: Sequence[Round]) -> float | None:
    """Return the last look at a timed process that used half a CPU or more; ``None``: unknown.

    That ends the timed part of a process whose report comes later. The round in which it stopped
    is left out: its clock may have been read after that.
    """
    for before, after in reversed(list(itertools.pairwise(rounds))):
        if before.timed_ticks is not None and after.timed_ticks is not None:
            ticks = TICKS_PER_S * (after.at_s - before.at_s)
            if after.timed_ticks - before.timed_ticks >= _BUSY * ticks:
                return before.at_s
    return None


def phone_conditions(
    rounds: Sequence[Round],
    clusters: Mapping[int, Cluster],
    cpus: Iterable[int] = (),
    given: Iterable[str] = (),
) -> Conditions:
    """Return the conditions of the timed part, by the same thresholds as on a host.

    ``cpus`` are those the process was bound to: only their clocks are judged, else the fastest.
    """
    bound = set(cpus)
    watched = {n for n, cluster in clusters.items() if not bound or bound & set(cluster.cpus)}
    snapshots = [_snapshot(each, rounds[: index + 1], watched) for index, each in enumerate(rounds)]
    return judge(snapshots, bound, given).model_copy(
        update={
            "temperature_c": [max(each.heats_c) for each in rounds if each.heats_c],
            "cluster_khz": _by_cluster(rounds, clusters),
        }
    )


def watcher_load(rounds: Sequence[Round]) -> float | None:
    """Return the share of one CPU that the watching took, over all rounds; ``None``: unknown."""
    told = [each for each in rounds if each.own_ticks is not None]
    seconds = told[-1].at_s - told[0].at_s if told else 0.0
    if seconds <= 0:
        return None
    ticks = (told[-1].own_ticks or 0) - (told[0].own_ticks or 0)
    return round(ticks / TICKS_PER_S / seconds, 4)


def _snapshot(moment: Round, so_far: Sequence[Round], watched: set[int]) -> Snapshot:
    """Return the round as the host's judge knows moments.

    Whose CPU time it was is told only where the timed process's own is known.
    """
    known = moment.timed_ticks is not None and moment.own_ticks is not None
    own = (moment.timed_ticks or 0) + (moment.own_ticks or 0)
    clocks = [khz for n, khz in moment.clocks_khz.items() if not watched or n in watched]
    return snapshot_of(
        moment.columns if known else (),
        own,
        clock_khz=max(clocks, default=None),
        thermal_throttles=_lowered_caps(so_far),
    )


def _lowered_caps(rounds: Sequence[Round]) -> int:
    """Return how often the kernel lowered what a cluster may run at: heat does that."""
    return sum(
        after.caps_khz[n] < before.caps_khz[n]
        for before, after in itertools.pairwise(rounds)
        for n in before.caps_khz.keys() & after.caps_khz.keys()
    )


def _by_cluster(
    rounds: Sequence[Round], clusters: Mapping[int, Cluster]
) -> dict[str, list[int]] | None:
    if len(clusters) < 2:
        return None
    return {
        cluster.name: [each.clocks_khz[n] for each in rounds if n in each.clocks_khz]
        for n, cluster in sorted(clusters.items())
    }
