"""The CPU's counters of memory traffic, as ``simpleperf`` lists and reports them. Pure.

Formats: ``simpleperf list raw`` and ``simpleperf stat --csv`` (system/extras/simpleperf,
cmd_list.cpp and cmd_stat.cpp). Whatever comes is the phone's text: only known events and whole
numbers are taken from it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence

from cnn_export.benchmarks.results.record_types import Level

LINE_BYTES = 64
"""A cache line of every 64-bit Arm core so far."""
BEAT_BYTES = 32
"""One beat between core and cluster on the larger cores; smaller ones move 16 bytes."""
INFERENCES_MIN = 10
"""Fewer between the two processes, and what differs besides inferences would show."""


@dataclasses.dataclass(frozen=True)
class Counter:
    """An event of Armv8's common list, and the level whose incoming bytes it counts."""

    level: str
    event: str
    bytes_per_event: int


COUNTERS = (
    Counter("l2", "raw-l2d-cache-refill", LINE_BYTES),
    Counter("l3", "raw-l3d-cache-refill", LINE_BYTES),
    Counter("bus", "raw-bus-access", BEAT_BYTES),
)


class NoCounters(Exception):
    """The counters cannot be had, or not be believed; the text says why."""


_LISTED = re.compile(r"^ {2}([a-z0-9-]{1,60})(?: \(([^)]{0,60})\))?\s", re.MULTILINE)
_SUPPORTED = re.compile(r"^supported on cpu ([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)$")
_COUNTED = re.compile(r"^([0-9]{1,18}),(raw-[a-z0-9-]{1,60})(?::u)?,(.*)$", re.MULTILINE)
_SHARE = re.compile(r"\(([0-9]{1,3})%\)")
_TOTAL = re.compile(r"^Total test time,[0-9.]+,seconds,", re.MULTILINE)


def usable(listing: str, cpus: Collection[int]) -> list[Counter]:
    """Return the counters that ``simpleperf list raw`` offers on all of ``cpus``.

    Raises:
        NoCounters: none is among them.
    """
    offered: dict[str, str] = dict(_LISTED.findall(listing))
    found = [
        counter
        for counter in COUNTERS
        if counter.event in offered and _works(offered[counter.event], cpus)
    ]
    if not found:
        raise NoCounters("this CPU's counters of cache refills cannot be read by simpleperf")
    return found


def _works(note: str, cpus: Collection[int]) -> bool:
    """Read ``(supported on cpu 4-7)``; no note means everywhere, another one nowhere."""
    if not note:
        return True
    match = _SUPPORTED.match(note)
    return match is not None and set(cpus) <= _cpu_list(match[1])


def _cpu_list(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = int(first[:4]), int((last or first)[:4])
        found |= set(range(low, high + 1))
    return found


def counts(report: str, counters: Sequence[Counter]) -> dict[str, int]:
    """Return events of a report of ``simpleperf stat --csv``.

    Raises:
        NoCounters: it is not whole, an event is missing or twice, or was not counted all the time.
    """
    if not _TOTAL.search(report):
        raise NoCounters("simpleperf's report is not whole")
    found: dict[str, int] = {}
    for count, event, comment in _COUNTED.findall(report):
        if event in found:
            raise NoCounters(f"simpleperf reports {event} twice")
        share = _SHARE.search(comment)
        if share and int(share[1]) < 100:
            raise NoCounters(f"the CPU counted {event} only {share[1]} % of the time")
        found[event] = int(count)
    for counter in counters:
        if counter.event not in found:
            raise NoCounters(f"simpleperf reports no {counter.event}")
    return {counter.event: found[counter.event] for counter in counters}


def levels(
    fewer: Mapping[str, int],
    more: Mapping[str, int],
    inferences: int,
    counters: Sequence[Counter],
) -> list[Level]:
    """Return the traffic of one inference from two processes, one of ``inferences`` more.

    Raises:
        NoCounters: too few to tell, or more inferences moved less.
    """
    if inferences < INFERENCES_MIN:
        raise NoCounters(f"the two processes are only {inferences} inferences apart")
    found: list[Level] = []
    for counter in counters:
        difference = more[counter.event] - fewer[counter.event]
        if difference < 0:
            raise NoCounters(f"{inferences} more inferences had fewer {counter.event}")
        found.append(
            Level(
                level=counter.level,
                event=counter.event,
                per_inference=difference / inferences,
                bytes_per_event=counter.bytes_per_event,
            )
        )
    return found
