"""Read a results file into arrays: one line in memory at a time, eight bytes a sample kept.

Strict, because what is read here is judged: a damaged, foreign or repeated line refuses the file.
``cnn-bench run --resume`` sets a torn last line aside; other damage is removed by hand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cnn_export.benchmarks.results.plan_coverage import Coverage, missing_lines
from cnn_export.benchmarks.results.record_check import RecordCheck
from cnn_export.benchmarks.results.record_types import Artifact, Memory, Pair, Record, Repeat, Run
from cnn_export.benchmarks.results.results_file import BadLine, read_records
from cnn_export.benchmarks.results.series import Duel, Measurements, Nanoseconds, Series, Setting
from cnn_export.benchmarks.runtimes.runtime_arguments import kept_arguments
from cnn_export.errors import InputRefused


def read_measurements(path: Path) -> Measurements:
    """Read ``path``; records of several runs in one setting are one series.

    Raises:
        InputRefused: the file cannot be read, has a line that is damaged, foreign, repeated or of
            no plan, a measurement whose run or artifact no line describes, lacks lines that its
            endings tell of, or holds no measurement at all.
    """
    gatherer = _Gatherer(path.name)
    try:
        # `map` lets go of each record before the next is read; a loop variable would not.
        for _ in map(gatherer.add, read_records(path)):
            pass
        return gatherer.measurements(str(path))
    except _Refused as refusal:
        raise InputRefused(f"{path}: {refusal}") from None


class _Refused(Exception):
    """Why the file is refused; the caller knows its name."""


@dataclasses.dataclass
class _SeriesParts:
    """A series while its processes come in."""

    artifact: Artifact
    times_ns: list[Nanoseconds] = dataclasses.field(default_factory=list[Nanoseconds])
    load_ns: list[int] = dataclasses.field(default_factory=list[int])
    peak_rss_bytes: list[int] = dataclasses.field(default_factory=list[int])
    flags: list[list[str]] = dataclasses.field(default_factory=list[list[str]])


@dataclasses.dataclass
class _DuelParts:
    """A duel while its processes come in."""

    base: Artifact
    new: Artifact
    pairs: list[tuple[Nanoseconds, Nanoseconds]] = dataclasses.field(
        default_factory=list[tuple[Nanoseconds, Nanoseconds]]
    )
    new_loaded_first: list[bool] = dataclasses.field(default_factory=list[bool])
    flags: list[list[str]] = dataclasses.field(default_factory=list[list[str]])


class _Gatherer:
    """Takes records of the file ``name`` in their order; keeps times as arrays."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._runs: dict[str, Run] = {}
        self._artifacts: dict[tuple[str, str], Artifact] = {}
        self._check = RecordCheck()
        self._coverage = Coverage()
        self._series: dict[tuple[str, Setting], _SeriesParts] = {}
        self._duels: dict[tuple[str, str, Setting, Setting], _DuelParts] = {}

    def add(self, record: Record | BadLine) -> None:
        """Take one line.

        Raises:
            _Refused: it cannot be trusted.
        """
        if isinstance(record, BadLine):
            raise _Refused(_complaint(record, self._name))
        if (problem := self._check.problem(record)) is not None:
            raise _Refused(problem)
        self._coverage.add(record)
        match record:
            case Run():
                self._runs[record.run_id] = record
            case Artifact():
                self._artifacts[record.run_id, record.sha256] = record
            case Repeat():
                self._add_repeat(record)
            case Pair():
                self._add_pair(record)
            case Memory():
                self._add_memory(record)
            case _:
                pass  # no measurement of ours

    def measurements(self, source: str) -> Measurements:
        """Return what was gathered.

        Raises:
            _Refused: nothing was measured, or lines were taken out.
        """
        if (damage := self._coverage.damage()) is not None:
            raise _Refused(
                f"{damage}: lines are gone from the file; complete the run with the same "
                "'cnn-bench run' and --resume, or measure again"
            )
        missing = self._coverage.missing()
        if not self._series and not self._duels:
            first = "".join(f" ({line})" for line in missing_lines(missing)[:1])
            raise _Refused(f"holds no measurement{first}; run 'cnn-bench run … --out FILE' first")
        series = [
            Series(p.artifact, setting, p.times_ns, p.load_ns, p.peak_rss_bytes, p.flags)
            for (_, setting), p in self._series.items()
        ]
        duels = [
            Duel(p.base, p.new, base, new, p.pairs, p.new_loaded_first, p.flags)
            for (_, _, base, new), p in self._duels.items()
        ]
        return Measurements(source, series, duels, missing)

    def _add_repeat(self, record: Repeat) -> None:
        parts = self._parts(record, record.runtime_args)
        parts.times_ns.append(_times(record.samples_ns))
        parts.load_ns.append(record.load_ns)
        parts.flags.append(record.conditions.flags)

    def _add_memory(self, record: Memory) -> None:
        arguments = self._runs[record.run_id].runtime_args
        self._parts(record, arguments).peak_rss_bytes.append(record.peak_rss_bytes)

    def _add_pair(self, record: Pair) -> None:
        base, new = (self._artifacts[record.run_id, sha256] for sha256 in (record.a, record.b))
        run = self._runs[record.run_id]
        settings = [
            _setting(run, runtime, version, record.runtime_args, record.threads)
            for runtime, version in zip(record.runtimes, record.runtime_versions, strict=True)
        ]
        key = (record.a, record.b, settings[0], settings[1])
        parts = self._duels.setdefault(key, _DuelParts(base, new))
        parts.pairs.append((_times(record.a_ns), _times(record.b_ns)))
        parts.new_loaded_first.append(record.b_loaded_first)
        parts.flags.append(record.conditions.flags)

    def _parts(self, record: Repeat | Memory, arguments: dict[str, str]) -> _SeriesParts:
        artifact = self._artifacts[record.run_id, record.artifact]
        run = self._runs[record.run_id]
        setting = _setting(run, record.runtime, record.runtime_version, arguments, record.threads)
        return self._series.setdefault((record.artifact, setting), _SeriesParts(artifact))


def _setting(
    run: Run, runtime: str, version: str, arguments: dict[str, str], threads: int
) -> Setting:
    """Return the setting; arguments of other runtimes than this one do not count."""
    kept = kept_arguments(runtime, arguments)
    cpus = tuple(sorted(run.cpus))
    return Setting(run.device, runtime, version, kept, threads, cpus, run.fixed_performance)


def _times(samples_ns: Iterable[int]) -> Nanoseconds:
    return np.asarray(samples_ns, dtype=np.int64)


def _complaint(bad: BadLine, name: str) -> str:
    if bad.foreign:
        return f"line {bad.number} is {bad.reason}; remove it, or give the right file"
    return (
        f"line {bad.number} is damaged ({bad.reason}); remove line {bad.number} of {name}, then "
        "complete the run with the same 'cnn-bench run' and --resume"
    )
