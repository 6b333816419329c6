"""Read what the watching loop on a phone says (:mod:`watcher_script`). Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

_LINE_MAX = 1000
_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_COLUMNS_MAX = 20
_CPU_MAX = 1024
_UTIME, _ENDED_STIME = 11, 15
"""Columns of ``/proc/PID/stat`` behind the name in parentheses: from a process's own user time to
its ended children's system time, ticks."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """CPUs that share a clock."""

    cpus: tuple[int, ...]
    max_khz: int

    @property
    def name(self) -> str:
        """Return ``4-7`` or ``0,2``."""
        first, last = min(self.cpus), max(self.cpus)
        if first != last and sorted(self.cpus) == list(range(first, last + 1)):
            return f"{first}-{last}"
        return ",".join(map(str, sorted(self.cpus)))


@dataclasses.dataclass(frozen=True)
class Round:
    """What one round read. ``at_s`` is when it arrived, on the host's monotonic clock.

    ``clocks_khz`` and ``caps_khz`` (what the kernel allows at most) go by cluster; ``columns`` are
    those of ``cpu`` in ``/proc/stat``; ticks are CPU time so far: of the watcher with its ended
    children, and of the timed process.
    """

    at_s: float
    clocks_khz: Mapping[int, int]
    caps_khz: Mapping[int, int]
    heats_c: tuple[float, ...] = ()
    columns: tuple[int, ...] = ()
    own_ticks: int | None = None
    timed_ticks: int | None = None


class Reader:
    """Takes lines one by one; :attr:`clusters` and :attr:`rounds` grow."""

    def __init__(self) -> None:
        self.clusters: dict[int, Cluster] = {}
        self.rounds: list[Round] = []
        self.watching = False
        self._lines: list[str] | None = None

    def take(self, line: bytes, at_s: float) -> None:
        """Take in one line; what is not the loop's is skipped."""
        text = line[:_LINE_MAX].decode(errors="replace").rstrip("\r\n")
        if text == "watching":
            self.watching = True
        elif text == "round":
            self._lines = []
        elif text == "over" and self._lines is not None:
            self.rounds.append(read_round(self._lines, at_s))
            self._lines = None
        elif self._lines is not None:
            self._lines.append(text)
        elif text.startswith("cluster ") and len(numbers := _numbers(text)) >= 3:
            self._add_cluster(numbers)

    def _add_cluster(self, numbers: list[int]) -> None:
        index, khz, *cpus = numbers
        if all(0 <= cpu < _CPU_MAX for cpu in cpus) and khz > 0:
            self.clusters[index] = Cluster(tuple(cpus), khz)


def read_round(lines: list[str], at_s: float) -> Round:
    """Return the round that these lines tell of; a line that makes no sense is none."""
    tables: dict[str, dict[int, int]] = {"clock": {}, "cap": {}, "heat": {}}
    rest: dict[str, str] = {}
    for line in lines:
        kind, _, words = line.partition(" ")
        if kind not in tables:
            rest[kind] = words
        elif len(numbers := _numbers(line)) == 2:
            tables[kind][numbers[0]] = numbers[1]
    heats = map(celsius, tables["heat"].values())
    return Round(
        at_s,
        {n: khz for n, khz in tables["clock"].items() if khz > 0},
        {n: khz for n, khz in tables["cap"].items() if khz > 0},
        tuple(value for value in heats if value is not None),
        _columns(rest.get("stat", "")),
        _ticks(rest.get("own", ""), with_children=True),
        _ticks(rest.get("timed", ""), with_children=False),
    )


def celsius(value: int) -> float | None:
    """Return a thermal zone's value in °C: kernels tell thousandths, some vendors tenths or whole.

    ``None`` for what no working phone has: an unread sensor.
    """
    magnitude = abs(value)
    scaled = value / (1000 if magnitude > 2000 else 10 if magnitude > 150 else 1)
    return scaled if 0 < scaled <= 150 else None


def _columns(words: str) -> tuple[int, ...]:
    name, _, numbers = words.partition(" ")
    found = numbers.split()[:_COLUMNS_MAX]
    if name != "cpu" or not all(_NUMBER.fullmatch(each) for each in found):
        return ()
    return tuple(map(int, found))


def _ticks(words: str, *, with_children: bool) -> int | None:
    """Return the CPU time in a line of ``/proc/PID/stat``; the name in it may hold anything."""
    fields = words.rpartition(")")[2].split()
    last = _ENDED_STIME if with_children else _UTIME + 2
    times = fields[_UTIME:last]
    if len(times) != last - _UTIME or not all(_NUMBER.fullmatch(each) for each in times):
        return None
    return sum(map(int, times))


def _numbers(line: str) -> list[int]:
    """Return the numbers behind the first word; none if anything else is among them."""
    words = line.split()[1:]
    return [int(word) for word in words] if all(map(_NUMBER.fullmatch, words)) else []
